"""How the stages decode: from a task's configuration to the settings of beam search."""

from typing import TYPE_CHECKING

from hat.runtime.base import Decoding

if TYPE_CHECKING:
    from hat.config.task import Scoring

# Comparisons of shortlists, objectives and teachers always use this beam, so that they hold for every device.
COMPARISON_BEAM = 5
# Tokens of a batch, beams included: enough to make the matrix products worth their while.
BATCH_TOKENS = 4096


def configured_decoding(scoring: "Scoring", beam: int = COMPARISON_BEAM) -> Decoding:
    """Beam search with the length penalty and the length limits of a task.

    Args:
        scoring: configuration of the task.
        beam: beam size.
    """
    return Decoding(
        beam=beam,
        length_penalty=scoring.length_penalty,
        max_length_ratio=scoring.max_length_ratio,
        max_length_extra=scoring.max_length_extra,
    )
