"""How the stages decode: the beam search settings that follow from a task's configuration."""

from typing import TYPE_CHECKING

from hat.runtime.base import Decoding

if TYPE_CHECKING:
    from hat.config.task import Scoring

# Stages that compare shortlists, objectives and teachers use this beam for every device, so that devices share results.
COMPARISON_BEAM = 5
# Tokens per batch over all beams: enough for efficient matrix products.
BATCH_TOKENS = 4096


def configured_decoding(scoring: "Scoring", beam: int = COMPARISON_BEAM) -> Decoding:
    """Return beam search settings with the length penalty and the length limits of a task.

    Args:
        scoring: the section ``scoring`` of the task's configuration.
        beam: beam size.
    """
    return Decoding(
        beam=beam,
        length_penalty=scoring.length_penalty,
        max_length_ratio=scoring.max_length_ratio,
        max_length_extra=scoring.max_length_extra,
    )
