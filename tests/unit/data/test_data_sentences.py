"""Cutting text that is too long: nothing is lost, nothing stays too long, and where it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hat.data.text.sentences import split_long

TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from(" .!?,;\"')。，\u0301Aa\n\xa0"), max_size=200)  # noqa: RUF001


def squeezed(text):
    return "".join(text.split())


def words_up_to(limit):
    return lambda text: len(text.split()) <= limit


@given(TEXTS, st.integers(1, 40))
def test_pieces_are_the_text_and_fit(text, limit):
    pieces = split_long(text, lambda piece: len(piece) <= limit)
    assert squeezed("".join(pieces)) == squeezed(text)
    assert all(piece and len(piece) <= limit and piece == piece.strip() for piece in pieces)


@given(TEXTS, st.integers(1, 9))
def test_words_are_whole_where_one_fits(text, limit):
    pieces = split_long(text, words_up_to(limit))
    assert all(words_up_to(limit)(piece) for piece in pieces)
    # Full-width punctuation is a place to cut without a space.
    if not set(text) & set("。！？｡、，；："):  # noqa: RUF001
        assert " ".join(pieces).split() == text.split()


@given(TEXTS)
def test_a_text_that_fits_stays_whole(text):
    assert split_long(text, lambda piece: True) == ([text.strip()] if text.strip() else [])


@given(TEXTS)
def test_what_never_fits_ends_as_single_code_points(text):
    assert split_long(text, lambda piece: False) == list(squeezed(text))


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("One two. Three! Four? Five", 3, ["One two.", "Three!", "Four?", "Five"]),
        ("He said: “Go.” Then he went.", 4, ["He said: “Go.”", "Then he went."]),
        ("In J. Smith et al. it says so. Yes.", 8, ["In J. Smith et al. it says so.", "Yes."]),
        ("a, b, c d, e f g", 3, ["a, b,", "c d,", "e f g"]),
        ("a b c d e, f", 3, ["a b c", "d e,", "f"]),
        ("是。不是。", 0, ["是", "。", "不", "是", "。"]),
        ("wait... what", 1, ["wait...", "what"]),
    ],
)
def test_where_it_is_cut(text, limit, pieces):
    assert split_long(text, words_up_to(limit)) == pieces


def test_full_width_sentences_need_no_space():
    assert split_long("是。不是！好", lambda piece: len(piece) <= 3) == ["是。", "不是！", "好"]  # noqa: RUF001


def test_what_is_read_as_one_character_stays_together():
    family = "\U0001f469\u200d\U0001f467"
    assert split_long(family * 3 + "e\u0301", lambda piece: len(piece) <= 4) == [family, family, family, "e\u0301"]


@pytest.mark.parametrize("part", ["a", ".", ". ", "A. ", ", ", "e\u0301", "\u0301", "\U0001f680", "\"' ", "。", "a b"])
def test_long_texts_are_never_tried_whole(part):
    longest = 0

    def fits(piece):
        nonlocal longest
        longest = max(longest, len(piece) if len(piece) < 200_000 else 0)
        return len(piece) <= 100

    text = part * (300_000 // len(part))
    pieces = split_long(text, fits)
    assert squeezed("".join(pieces)) == squeezed(text)
    # Nothing much longer than a piece is tried, since trying takes time.
    assert longest <= 400
