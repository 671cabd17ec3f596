"""Limits on length and length ratio of training pairs, as clean-corpus-n.perl applies them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from hat.config.tokenisation import Tokenisation
from hat.data.chunks import in_chunks
from hat.data.corpora.splits import Pair
from hat.data.text.tokenise import MosesLines

# Maximum characters of a word; pairs with a longer word are dropped.
LONGEST_WORD = 1000


def drop_reason(limits: Tokenisation, source: int, target: int) -> str | None:
    """Return why a training pair of these lengths is dropped; None if it is used."""
    if min(source, target) < limits.min_length:
        return "shorter_than_min_length"
    if max(source, target) > limits.max_length:
        return "longer_than_max_length"
    if limits.max_ratio is not None and max(source, target) > limits.max_ratio * min(source, target):
        return "above_max_ratio"
    return None


def within_limits(
    pairs: Iterable[Pair], tokenisation: Tokenisation, languages: tuple[str, str], dropped: Counter[str]
) -> Iterator[Pair]:
    """Yield the pairs of raw text whose Moses words are within the limits.

    Args:
        pairs: raw pairs.
        tokenisation: settings of the task.
        languages: source and target language.
        dropped: counter of dropped pairs by reason, which is updated.
    """
    splitters = [MosesLines(language, tokenisation, training=True) for language in languages]
    for chunk in in_chunks(pairs):
        texts = [split([pair[side] for pair in chunk]) for side, split in enumerate(splitters)]
        for pair, *lines in zip(chunk, *texts, strict=True):
            words = [line.split() for line in lines]
            reason = drop_reason(tokenisation, len(words[0]), len(words[1]))
            if reason is None and max(map(len, (*words[0], *words[1]))) > LONGEST_WORD:
                reason = "longest_word"
            if reason is None:
                yield pair
            else:
                dropped[reason] += 1
