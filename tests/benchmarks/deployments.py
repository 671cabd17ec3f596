"""What a Runtime, a precision and the shortlist cost in quality and size: trained networks on a whole test split.

    python tests/benchmarks/deployments.py bibleende local [150ms ...] [--results results] [--sentences 1028]

Exports each trained SubTransformer or baseline for every Runtime and precision that expresses it, with and
without the task's shortlist (`snakemake results/bibleende/shortlist/shortlist.json`), translates the test split and
prints BLEU, chrF, how many translations differ in any token from those of `torch` in fp32 without a shortlist,
sentences a second on all cores (what scoring does, not latency), and the size of the network's files.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.config.runtimes import RUNTIMES
from hat.config.scope import BudgetScope
from hat.config.settings import Settings
from hat.data.stages import codes_path, dictionary_path
from hat.data.task_shape import task_shape
from hat.data.text.dictionary import Dictionary
from hat.data.text.text import read_pairs
from hat.data.text.tokenise import TextCodec
from hat.deploy.export import deployed_decoding
from hat.runtime import runtime
from hat.runtime.base import Blueprint, refusal
from hat.runtime.shortlist import FILE, Shortlist
from hat.runtime.torch.runtime import weights_of
from hat.space.kinds import architecture_from_dict
from hat.train import checkpoints

# Sentences handed to a Runtime at once.
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("device")
    parser.add_argument("budgets", nargs="+")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--sentences", type=int, default=10**9)
    parser.add_argument("--runtimes", nargs="+", default=[name for name in RUNTIMES if name != "torch-published"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "int8", "int4"])
    options = parser.parse_args()
    settings, results = Settings(), Results(options.results)
    task, data = settings.task(options.task), results.data(options.task)
    languages = (task.source_language, task.target_language)
    paths = [data / "raw" / f"test.{language}" for language in languages]
    pairs = list(read_pairs(*paths))[: options.sentences]
    dictionaries = [Dictionary.load(dictionary_path(data, language)) for language in languages]
    codecs = [TextCodec(language, codes_path(data), task.tokenisation) for language in languages]
    sources = [dictionaries[0].encode(codecs[0].encode(source)).tolist() for source, _ in pairs]
    order = sorted(range(len(sources)), key=lambda number: -len(sources[number]))
    decoding = deployed_decoding(task, settings.device(options.device))
    tokens = [dictionary.tokens for dictionary in dictionaries]
    shortlist = Shortlist.load(results.shortlist(options.task) / FILE, *tokens)
    for budget in options.budgets:
        scope = BudgetScope(settings, results, options.task, options.device, budget)
        trained = scope.trained
        weights = weights_of(checkpoints.load(trained / "checkpoint.pt")["model"])
        architecture = architecture_from_dict(read_json(trained / "config.json"), str(trained))
        shape = task_shape(scope, budget if scope.is_baseline else None)
        blueprint = Blueprint(architecture=architecture, shape=shape, source_tokens=tokens[0], target_tokens=tokens[1])
        print(f"{options.task}, {budget}, {len(pairs)} sentences")
        print(f"{'':38}{'BLEU':>7}{'chrF':>7}{'differ':>8}{'sentences/s':>13}{'MB':>8}", flush=True)
        reference: list[tuple[int, ...]] = []
        for name in options.runtimes:
            for precision in [one for one in RUNTIMES[name].precisions if one in options.precisions]:
                for short in (None, shortlist) if shortlist else (None,):
                    chosen = runtime(name, precision, 1, parallel=len(os.sched_getaffinity(0)))
                    if refusal(chosen.facts, architecture) is not None:
                        continue
                    with tempfile.TemporaryDirectory() as place:
                        chosen.write(Path(place), blueprint, weights, short)
                        size = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
                        model = chosen.load(Path(place), blueprint)
                        found: dict[int, tuple[int, ...]] = {}
                        began = time.perf_counter()
                        for start in range(0, len(order), BATCH):
                            batch = order[start : start + BATCH]
                            best = model.translate([sources[number] for number in batch], decoding)
                            found |= {number: one.tokens for number, one in zip(batch, best, strict=True)}
                        seconds = time.perf_counter() - began
                    made = [found[number] for number in range(len(sources))]
                    reference = reference or made
                    texts = [codecs[1].decode(dictionaries[1].decode(one)) for one in made]
                    references = [[target for _, target in pairs]]
                    bleu = BLEU(trg_lang=languages[1]).corpus_score(texts, references).score
                    chrf = CHRF().corpus_score(texts, references).score
                    differ = sum(one != other for one, other in zip(made, reference, strict=True))
                    label = f"{name} {precision}{', shortlist' if short else ''}"
                    row = f"{label:38}{bleu:>7.2f}{chrf:>7.2f}{differ:>8}{len(made) / seconds:>13.1f}"
                    print(f"{row}{size / 1e6:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
