"""Which training pairs are used: the limits on length and ratio, as clean-corpus-n.perl applies them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from hat.config.tokenisation import Tokenisation
from hat.data.chunks import in_chunks
from hat.data.corpora.splits import Pair
from hat.data.text.tokenise import MosesLines

# A longer word takes its pair with it.
LONGEST_WORD = 1000


def unfit(limits: Tokenisation, source: int, target: int) -> str | None:
    """Why a training pair of these lengths is not used; None where it is."""
    if min(source, target) < limits.min_length:
        return "shorter_than_min_length"
    if max(source, target) > limits.max_length:
        return "longer_than_max_length"
    if limits.max_ratio is not None and max(source, target) > limits.max_ratio * min(source, target):
        return "above_max_ratio"
    return None


def fitting(
    pairs: Iterable[Pair], tokenisation: Tokenisation, languages: tuple[str, str], dropped: Counter[str]
) -> Iterator[Pair]:
    """Pairs of raw text whose Moses words are within the limits.

    Args:
        pairs: raw pairs.
        tokenisation: settings of the task.
        languages: source and target language.
        dropped: counts the other pairs, by reason.
    """
    sides = [MosesLines(language, tokenisation, training=True) for language in languages]
    for chunk in in_chunks(pairs):
        texts = [side([pair[number] for pair in chunk]) for number, side in enumerate(sides)]
        for pair, *lines in zip(chunk, *texts, strict=True):
            words = [line.split() for line in lines]
            reason = unfit(tokenisation, len(words[0]), len(words[1]))
            if reason is None and max(map(len, (*words[0], *words[1]))) > LONGEST_WORD:
                reason = "longest_word"
            if reason is None:
                yield pair
            else:
                dropped[reason] += 1
