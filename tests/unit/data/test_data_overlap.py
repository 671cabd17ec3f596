import pytest
from hypothesis import given
from hypothesis import strategies as st

from hat.data.corpora.overlap import Overlap, words


def overlap(held_out, *training):
    measured = Overlap([held_out])
    for line in training:
        measured.add(line)
    return measured.values()[0]


def test_words_are_lower_case_without_punctuation():
    assert words("Der Größte, sagt's: „Ja“ – 3 mal!") == ["der", "grösste", "sagt", "s", "ja", "3", "mal"]  # noqa: RUF001
    assert words("神は言われた") == list("神は言われた")


@pytest.mark.parametrize(
    ("held_out", "training", "expected"),
    [
        ("a b c d e f", ["a b c d e f"], 1.0),
        ("A, b c. D e f!", ["x a B c d y"], 1 / 3),
        ("a b c d e f", ["a b c d", "c d e f"], 1 / 3),  # of one training sentence, not of all together
        ("a b c d e f", ["a b c x d e f"], 0.0),
        ("Jesus wept.", ["And Jesus wept there"], 1.0),
        ("Jesus wept.", ["Jesus has wept"], 0.0),
        ("one", ["someone", "ones"], 0.0),
        ("a b c d a b c d", ["a b c d"], 1 / 4),  # distinct n-grams
        ("...", ["..."], 0.0),
        ("a b c d", [], 0.0),
    ],
)
def test_overlap(held_out, training, expected):
    assert overlap(held_out, *training) == pytest.approx(expected)


LINES = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)


@given(LINES, st.lists(LINES, max_size=6))
def test_overlap_is_the_largest_share_that_one_sentence_contains(held_out, training):
    def grams(line, order):
        tokens = line.split()
        return {tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1)} if order else set()

    order = min(4, len(held_out.split()))
    own = grams(held_out, order)
    shares = [len(own & grams(line, order)) / len(own) for line in training] if own else []
    assert overlap(held_out, *training) == pytest.approx(max(shares, default=0.0))
