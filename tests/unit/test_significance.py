"""Paired bootstrap resampling, against sacreBLEU's own scores."""

import pytest
from sacrebleu.metrics.bleu import BLEU

from hat.data.significance import compare, verdict
from hat.errors import InputError

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
    assert verdict(pairs["good", "bad"]).startswith("good is ")
    assert pairs["bad", "same"]["p_value"] == 1
    assert verdict(pairs["bad", "same"]) == "same and bad do not differ in BLEU"
    assert compare(systems, REFERENCES, "de") == found


def test_one_system_has_an_interval():
    found = compare({"one": REFERENCES[:9] + WORSE[9:]}, REFERENCES, "de")
    assert found["pairs"] == [] and found["systems"]["one"]["bleu_low"] < found["systems"]["one"]["bleu_high"]


def test_another_number_of_sentences_is_refused():
    with pytest.raises(InputError, match="one: has 39 translations, expected 40"):
        compare({"one": WORSE[1:]}, REFERENCES, "de")
