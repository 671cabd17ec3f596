"""BLEU of Moses words, which the paper and earlier work report."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hat.config.task import Task
from hat.data.corpora.splits import words_path
from hat.data.text.moses import Moses
from hat.data.text.text import read_lines

# A hyphen inside a word, which Moses with -a would split.
_COMPOUND = re.compile(r"(\S)-(\S)")
_SPLIT = r"\1 ##AT##-##AT## \2"


def reference_words(task: Task, data: Path, references: Iterable[str]) -> list[str]:
    """Return the words of the references: those that the test split came with, or else the tokenised text.

    Args:
        task: the task.
        data: data folder of the task.
        references: raw text of the references.
    """
    given = words_path(data, "test", task.target_language)
    if task.data.preprocessed and given.is_file():
        return list(read_lines(given))
    moses = Moses(task.target_language, task.tokenisation)
    return [" ".join(moses.split(line)) for line in references]


def tokenised_bleu(hypotheses: Sequence[str], references: Sequence[str], *, compounds: bool) -> tuple[float, str]:
    """Compute BLEU of words without smoothing, as multi-bleu.perl and fairseq's scorer do.

    Args:
        hypotheses: space-separated words of translations.
        references: space-separated words of references.
        compounds: whether to split compounds at hyphens first, as in published results. This raises the score.

    Returns:
        The score, and its signature.
    """
    from sacrebleu.metrics.bleu import BLEU

    if compounds:
        hypotheses, references = ([_COMPOUND.sub(_SPLIT, line) for line in side] for side in (hypotheses, references))
    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return score, f"{metric.get_signature()}|words:moses|compounds:{'parted' if compounds else 'whole'}"
