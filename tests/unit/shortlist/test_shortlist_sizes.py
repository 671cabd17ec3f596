"""The lexicon behind a shortlist, the candidates of a size, and the rule that chooses one."""

from types import MappingProxyType

import numpy as np
import pytest

from hat.errors import InputError
from hat.shortlist.lexicon import Lexicon
from hat.shortlist.sizes import (
    Coverage,
    Score,
    Size,
    choose_size,
    make_shortlist,
    measure_size,
    most_frequent,
    size_table,
)


def rows(lexicon):
    return list(zip(lexicon.sources.tolist(), lexicon.targets.tolist(), lexicon.counts.tolist(), strict=True))


def test_best_translations_come_first_and_ties_by_number():
    lexicon = Lexicon([9, 5, 5, 5, 9], [4, 8, 6, 7, 5], [1, 3, 5, 3, 2])
    assert rows(lexicon) == [(5, 6, 5), (5, 7, 3), (5, 8, 3), (9, 5, 2), (9, 4, 1)]
    assert rows(lexicon.best(2)) == [(5, 6, 5), (5, 7, 3), (9, 5, 2), (9, 4, 1)]
    assert {token: found.tolist() for token, found in lexicon.translations().items()} == {5: [6, 7, 8], 9: [5, 4]}


def test_parts_add_up_in_any_order():
    rng = np.random.default_rng(1)
    links = rng.integers(4, 12, (2, 500))
    whole = Lexicon.merged([Lexicon(*links, np.ones(500))])
    parts = [Lexicon.merged([Lexicon(*part, np.ones(part.shape[1]))]) for part in np.array_split(links, 7, axis=1)]
    assert rows(Lexicon.merged(parts)) == rows(Lexicon.merged(parts[::-1])) == rows(whole)
    assert whole.counts.sum() == 500


def test_special_tokens_are_left_out():
    assert rows(Lexicon([2, 3, 4, 5], [5, 5, 3, 4], [9, 9, 9, 1])) == [(5, 4, 1)]


def test_nothing_linked():
    empty = Lexicon.merged([])
    assert rows(empty.best(3)) == []
    assert empty.translations() == {}


def test_a_lexicon_is_read_as_it_was_written(tmp_path):
    lexicon = Lexicon([5, 5, 9], [6, 8, 4], [5, 3, 1])
    lexicon.save(tmp_path / "lexicon.npz")
    assert rows(Lexicon.load(tmp_path / "lexicon.npz")) == rows(lexicon)
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        Lexicon.load(tmp_path / "none.npz")
    content = (tmp_path / "lexicon.npz").read_bytes()
    (tmp_path / "lexicon.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"lexicon\.npz: not a lexicon"):
        Lexicon.load(tmp_path / "lexicon.npz")


def test_most_frequent_tokens():
    tokens = np.array([2, 2, 2, 2, 7, 7, 5, 6, 6, 3], np.uint16)
    assert most_frequent(tokens, 12).tolist() == [6, 7, 5]


LEXICON = Lexicon([5, 5, 5, 6, 6], [10, 11, 12, 11, 13], [9, 5, 1, 7, 2])
FREQUENT = np.array([11, 14, 10, 12, 13])


def test_candidates_of_a_size():
    shortlist = make_shortlist(FREQUENT, LEXICON, Size(frequent=2, translations=2))
    assert shortlist.always.tolist() == [0, 2, 3, 11, 14]
    # What is always there is not named again.
    assert {token: found.tolist() for token, found in shortlist.by_token.items()} == {5: [10], 6: [13]}
    assert shortlist.candidates([5, 7, 2]).tolist() == [0, 2, 3, 10, 11, 14]
    everything = make_shortlist(FREQUENT, LEXICON, Size(frequent=9, translations=9))
    assert everything.by_token == {}
    assert everything.always.tolist() == [0, 2, 3, 10, 11, 12, 13, 14]


def test_what_a_size_covers():
    shortlist = make_shortlist(FREQUENT, LEXICON, Size(frequent=1, translations=1))
    found = measure_size(
        Size(frequent=1, translations=1),
        shortlist,
        sources=[[5, 2], [7, 2]],
        references=[[10, 11, 2], [10, 2]],
        translations=[[10, 11], [11, 11]],
    )
    assert (found.mean_candidates, found.max_candidates) == (4.5, 5)
    assert (found.reference_coverage, found.translation_coverage) == (0.8, 1.0)


def measured(frequent, candidates, covered):
    return Coverage(
        size=Size(frequent=frequent, translations=1),
        mean_candidates=candidates,
        max_candidates=int(candidates) + 1,
        reference_coverage=covered - 0.01,
        translation_coverage=covered,
    )


def choose(ladder, bleus, max_bleu_loss=0.1, p_values=MappingProxyType({})):
    """The choice among sizes, the verdicts by size, and what was scored, in order."""
    asked = []

    def score(size):
        asked.append(size.frequent)
        return Score(bleu=bleus[size.frequent], changed=1, seconds=1.0, p_value=p_values.get(size.frequent, 0.01))

    chosen, rows = choose_size(ladder, whole=20.0, vocabulary=1000, max_bleu_loss=max_bleu_loss, score=score)
    return chosen, {row["frequent"]: row["verdict"] for row in rows}, asked, rows


def test_the_smallest_good_one_is_found_by_bisection():
    sizes = (50, 100, 200, 300, 400, 500, 600, 700)
    ladder = [measured(size, size, 0.89 + size / 10_000) for size in sizes]
    bleus = {size: 20 - 0.4 / (size / 100) for size in sizes}
    for limit, smallest in ((0.5, 100), (0.3, 200), (0.15, 300), (0.09, 500), (0.06, 700)):
        chosen, verdicts, asked, rows = choose(ladder[::-1], bleus, limit)
        assert chosen == Size(frequent=smallest, translations=1)
        assert len(asked) <= 3
        assert verdicts[50] == "covers too little"
        assert verdicts[smallest] == "chosen"
        for size in sizes[1:]:
            smaller = {"smaller than one that loses too much", "loses too much", "covers too little"}
            assert verdicts[size] in (smaller if size < smallest else {"chosen", "larger than needed"})
        assert [row["mean_candidates"] for row in rows] == list(sizes)
        for row in rows:
            scored = row["frequent"] in asked
            assert row["bleu_loss"] == (pytest.approx(20 - bleus[row["frequent"]]) if scored else None)


def test_exactly_the_limit_is_too_much():
    assert choose([measured(100, 100, 1.0)], {100: 19.5}, max_bleu_loss=0.5)[0] is None
    assert choose([measured(100, 100, 1.0)], {100: 19.5}, max_bleu_loss=0.51)[0] is not None


def test_a_loss_that_may_be_chance_is_none():
    ladder = [measured(size, size, 0.9 + size / 10_000) for size in (100, 200, 300)]
    bleus = {100: 19.6, 200: 19.7, 300: 20.1}
    assert choose(ladder, bleus)[0] == Size(frequent=300, translations=1)
    assert choose(ladder, bleus, p_values={200: 0.3})[0] == Size(frequent=200, translations=1)
    assert choose(ladder, bleus, p_values={200: 0.3, 100: 0.05})[0] == Size(frequent=100, translations=1)


def test_a_size_that_covers_no_more_than_a_smaller_one_is_passed_over():
    ladder = [measured(100, 100, 0.99), measured(150, 150, 0.99), measured(200, 200, 0.98), measured(300, 300, 0.995)]
    _, verdicts, asked, _ = choose(ladder, {100: 20.0, 300: 20.0})
    assert asked == [300, 100]
    assert verdicts[150] == verdicts[200] == "covers no more than a smaller one"


def test_none_is_good_enough():
    chosen, verdicts, _, _ = choose([measured(100, 100, 0.99), measured(999, 999.0, 1.0)], {100: 19.0})
    assert chosen is None
    assert verdicts == {100: "loses too much", 999: "no smaller than the vocabulary"}


def test_table_has_a_row_for_the_vocabulary_and_each_size():
    *_, found = choose([measured(50, 50, 0.8), measured(100, 100, 0.99)], {100: 20.1})
    content = {"whole_vocabulary": {"bleu": 20.0, "seconds": 3.0}, "vocabulary": 1000, "sizes": found}
    header, table = size_table(content)
    assert [len(row) for row in table] == [len(header)] * 3
    assert table[0][:3] == ["all", "all", "1000"]
    assert table[2][-3:] == ["20.10", "1 s", "chosen"]
