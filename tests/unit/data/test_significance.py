"""Paired bootstrap resampling, against sacreBLEU's own scores."""

import pytest
from sacrebleu.metrics.bleu import BLEU

from hat.data.significance import P_VALUE, compare, verdict
from hat.errors import InputError
from hat.report.compression import LEGEND
from hat.report.overall_tables import TABLES
from hat.schemas.reports import Pair

REFERENCES = [f"word{number % 7} stands here with number {number} and some more" for number in range(40)]
WORSE = [line.replace("stands here", "lies") for line in REFERENCES]


def test_scores_are_sacrebleus_and_intervals_enclose_them():
    systems = {
        "good": REFERENCES[:30] + WORSE[30:],
        "bad": REFERENCES[:4] + WORSE[4:],
        "same": REFERENCES[:4] + WORSE[4:],
    }
    found = compare(systems, REFERENCES, "de")
    for name, lines in systems.items():
        own = found["systems"][name]
        assert own["bleu"] == pytest.approx(BLEU(trg_lang="de").corpus_score(lines, [REFERENCES]).score)
        assert own["bleu_low"] < own["bleu"] < own["bleu_high"]
    pairs = {(pair["first"], pair["second"]): pair for pair in found["pairs"]}
    assert set(pairs) == {("good", "bad"), ("good", "same"), ("bad", "same")}
    assert pairs["good", "bad"]["significant"] and pairs["good", "bad"]["difference"] < 0
    assert not pairs["bad", "same"]["significant"] and pairs["bad", "same"]["difference"] == 0
    size = abs(pairs["good", "bad"]["difference"])
    assert verdict(pairs["good", "bad"]).startswith(f"good is {size:.2f} BLEU better than bad (p = ")
    assert pairs["bad", "same"]["p_value"] == 1
    assert verdict(pairs["bad", "same"]) == "same and bad do not differ in BLEU"
    assert compare(systems, REFERENCES, "de") == found


def test_a_difference_that_is_not_significant_makes_no_system_better():
    pair = {"first": "60ms", "second": "90ms", "difference": -0.104, "p_value": 0.412, "significant": False}
    assert verdict(pair) == (
        "60ms and 90ms do not differ significantly in BLEU (difference 0.10, p = 0.412, paired bootstrap, 1,000"
        " samples)"
    )


def test_a_p_value_is_explained_alike_wherever_one_is_shown():
    """It is about differences between equally good models, not the probability that a difference is chance."""
    assert "if the two models were equally good" in P_VALUE
    shown = [LEGEND, *(TABLES[name].legend for name in ("significance", "quantisation"))]
    shown.append(str(Pair.model_fields["p_value"].description))
    for text in shown:
        assert P_VALUE in text and "chance" not in text
    assert all(P_VALUE in table.legend for table in TABLES.values() if "p" in table.columns)


def test_one_system_has_an_interval():
    found = compare({"one": REFERENCES[:9] + WORSE[9:]}, REFERENCES, "de")
    assert found["pairs"] == [] and found["systems"]["one"]["bleu_low"] < found["systems"]["one"]["bleu_high"]


def test_another_number_of_sentences_is_refused():
    with pytest.raises(InputError, match="one: has 39 translations, expected 40"):
        compare({"one": WORSE[1:]}, REFERENCES, "de")
