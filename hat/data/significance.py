"""Is one system better than another, or is it chance? Paired bootstrap resampling over test sentences (Koehn, 2004)."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hat.errors import InputError

SAMPLES = 1000
# Below this probability of chance a difference is called significant.
ALPHA = 0.05


def compare(hypotheses: Mapping[str, Sequence[str]], references: Sequence[str], language: str) -> dict[str, Any]:
    """BLEU of systems with its uncertainty, and every pair of them compared on the same resampled sentences.

    Args:
        hypotheses: translations of the same test sentences, by the name of the system.
        references: the reference translations.
        language: ISO 639 code of the target language, which chooses the tokeniser.

    Returns:
        ``systems``: name to ``bleu``, and ``bleu_low`` and ``bleu_high``, the 95 % bootstrap interval of a score's own
        uncertainty; ``pairs``: ``first``, ``second``, ``difference`` (second - first), ``p_value``, ``significant``;
        ``signature``, ``samples``. The seed is sacreBLEU's own, so that the same texts give the same figures.

    Raises:
        InputError: a system has another number of sentences than there are references.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    for name, lines in hypotheses.items():
        if len(lines) != len(references):
            raise InputError(f"{name}: has {len(lines)} translations, expected {len(references)}, one a reference")
    names = list(hypotheses)
    systems: dict[str, dict[str, float]] = {}
    pairs: list[dict[str, Any]] = []
    signature = ""
    # It reports every system at level INFO.
    logging.getLogger("sacrebleu").setLevel(logging.WARNING)
    for number, first in enumerate(names):
        named = [(name, list(hypotheses[name])) for name in names[number:]]
        # With a system alone there is nothing to pair; it stands beside itself for its interval.
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
            # Of systems that say the same sacreBLEU reports the smallest p there is.
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
    """A comparison in words, such as ``60ms is 0.77 BLEU better than 40ms (p = 0.003)``."""
    better, worse = pair["second"], pair["first"]
    if pair["difference"] == 0:
        return f"{better} and {worse} do not differ in BLEU"
    if pair["difference"] < 0:
        better, worse = worse, better
    said = f"{better} is {abs(pair['difference']):.2f} BLEU better than {worse}"
    chance = "" if pair["significant"] else ", which may be chance"
    return f"{said}{chance} (p = {pair['p_value']:.3f}, paired bootstrap, {SAMPLES:,} samples)"
