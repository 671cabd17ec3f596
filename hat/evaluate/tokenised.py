"""BLEU of Moses words, by which the paper and its forerunners report quality."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hat.config.task import Task
from hat.data.corpora.splits import words_path
from hat.data.text.moses import Moses
from hat.data.text.text import read_lines

# A hyphen inside a word, which Moses with -a would have parted.
_COMPOUND = re.compile(r"(\S)-(\S)")
_PARTED = r"\1 ##AT##-##AT## \2"


def reference_words(task: Task, data: Path, references: Iterable[str]) -> list[str]:
    """Words of the references: those that the test split was given with, else made of its text.

    Args:
        task: the task.
        data: its data folder.
        references: text of the references.
    """
    given = words_path(data, "test", task.target_language)
    if task.data.preprocessed and given.is_file():
        return list(read_lines(given))
    moses = Moses(task.target_language, task.tokenisation)
    return [" ".join(moses.split(line)) for line in references]


def tokenised_bleu(hypotheses: Sequence[str], references: Sequence[str], *, compounds: bool) -> tuple[float, str]:
    """BLEU of words as they are, without smoothing, as multi-bleu.perl and fairseq's scorer compute it; and how.

    Args:
        hypotheses: words of translations, parted by spaces.
        references: words of references.
        compounds: part compounds at hyphens first, which raises the score; published results do.
    """
    from sacrebleu.metrics.bleu import BLEU

    if compounds:
        hypotheses, references = ([_COMPOUND.sub(_PARTED, line) for line in side] for side in (hypotheses, references))
    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return score, f"{metric.get_signature()}|words:moses|compounds:{'parted' if compounds else 'whole'}"
