"""Test whether systems differ in BLEU, by paired bootstrap resampling of test sentences (Koehn, 2004)."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hat.errors import InputError

SAMPLES = 1000
# A difference with a p-value below this is called significant.
ALPHA = 0.05
# Meaning of a p-value, for every table and schema that shows one.
P_VALUE = "probability of a difference in BLEU at least this large if the two models were equally good"


def compare(hypotheses: Mapping[str, Sequence[str]], references: Sequence[str], language: str) -> dict[str, Any]:
    """Compute the BLEU of each system with its uncertainty, and compare each pair on the same resampled sentences.

    Args:
        hypotheses: translations of the same test sentences, by name of the system.
        references: the reference translations.
        language: ISO 639 code of the target language; it selects the tokeniser.

    Returns:
        ``systems``: by name, ``bleu`` with the bounds ``bleu_low`` and ``bleu_high`` of its 95 % bootstrap interval;
        ``pairs``: ``first``, ``second``, ``difference`` (second - first), ``p_value``, ``significant``;
        ``signature``, ``samples``. sacreBLEU's default seed is used, so the same texts give the same numbers.

    Raises:
        InputError: a system has more or fewer sentences than the references.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    for name, lines in hypotheses.items():
        if len(lines) != len(references):
            raise InputError(f"{name}: has {len(lines)} translations, expected {len(references)}, one per reference")
    names = list(hypotheses)
    systems: dict[str, dict[str, float]] = {}
    pairs: list[dict[str, Any]] = []
    signature = ""
    # sacreBLEU logs every system at level INFO.
    logging.getLogger("sacrebleu").setLevel(logging.WARNING)
    for position, first in enumerate(names):
        named = [(name, list(hypotheses[name])) for name in names[position:]]
        # A single system is compared with itself, to get its interval.
        others = named[1:] or (named if not systems else [])
        if not others:
            break
        test = PairedTest(
            [named[0], *others], {"BLEU": BLEU(trg_lang=language)}, [list(references)], "bs", n_samples=SAMPLES
        )
        signatures, scores = test()
        signature = str(signatures["BLEU"])
        results: list[Any] = list(scores["BLEU"])
        for (name, _), result in zip([named[0], *others], results, strict=True):
            systems[name] = {
                "bleu": float(result.score),
                "bleu_low": float(result.mean - result.ci),
                "bleu_high": float(result.mean + result.ci),
            }
        for (second, _), result in zip(named[1:], results[1:], strict=False):
            # For identical systems sacreBLEU reports the smallest possible p.
            same = list(hypotheses[first]) == list(hypotheses[second])
            p_value = 1.0 if same else float(result.p_value)
            pairs.append(
                {
                    "first": first,
                    "second": second,
                    "difference": float(result.score - results[0].score),
                    "p_value": p_value,
                    "significant": p_value < ALPHA,
                }
            )
    return {"systems": systems, "pairs": pairs, "signature": signature, "samples": SAMPLES}


def verdict(pair: Mapping[str, Any]) -> str:
    """Describe in words how two systems compare.

    Args:
        pair: an entry of ``pairs`` from :func:`compare`.

    Returns:
        For example ``60ms is 0.77 BLEU better than 40ms (p = 0.003, paired bootstrap, 1,000 samples)``. Neither
        system is called better if the difference is not significant.
    """
    better, worse = pair["second"], pair["first"]
    if pair["difference"] == 0:
        return f"{better} and {worse} do not differ in BLEU"
    if pair["difference"] < 0:
        better, worse = worse, better
    size, test = abs(pair["difference"]), f"p = {pair['p_value']:.3f}, paired bootstrap, {SAMPLES:,} samples"
    if not pair["significant"]:
        return f"{better} and {worse} do not differ significantly in BLEU (difference {size:.2f}, {test})"
    return f"{better} is {size:.2f} BLEU better than {worse} ({test})"
