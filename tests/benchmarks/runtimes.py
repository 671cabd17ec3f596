"""Runtimes compared: one sentence end to end, beam search included, on networks with random weights.

    python tests/benchmarks/runtimes.py [--rounds 7] [--threads 1 2] [--candidates 2048] [--only NAME ...]

Four networks with a vocabulary of 32,768: S, the published Raspberry Pi model of 3.5 s (6 + 1 layers); a published
one whose decoder layers attend to several encoder layers; Transformer-Base; Evolved, the Evolved Transformer of base
size. Source 30 tokens, 30 steps, beam 5. All runtimes take turns within one process, after an untimed sentence of each;
medians, and ratios to `torch-published`, which executes the networks as the research code does; where that refuses, to
`torch` in fp32. `direct` is CTranslate2 driven without this project. Reads the published Architectures from
tests/data/architectures.csv.
"""

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hat.config.runtimes import RUNTIMES
from hat.config.settings import Settings
from hat.runtime import runtime
from hat.runtime.base import Blueprint, LoadedModel, refusal, synthetic_sentence
from hat.runtime.random_network import blueprint_of, random_weights
from hat.runtime.shortlist import Shortlist
from hat.space.architecture import Architecture
from hat.space.kinds import configured_architecture, configured_shape
from hat.space.published_form import PUBLISHED_SPANS
from hat.space.shape import Shape

REFERENCE = Path(__file__).parents[1] / "data" / "architectures.csv"
VOCABULARY, LENGTH, BEAM = 32768, 30, 5
NAMES = {"S": "HAT_wmt14ende_raspberrypi@3.5s", "several memories": "HAT_wmt14ende_raspberrypi@6.0s"}
BASELINES = {"Transformer-Base": "transformer-base", "Evolved": "evolved-transformer"}
# Runtime, precision, whether with a shortlist.
CONTENDERS = (
    ("torch-published", "fp32", False),
    ("torch", "fp32", False),
    ("torch", "fp32", True),
    ("onnxruntime", "fp32", False),
    ("onnxruntime", "int8", False),
    ("onnxruntime", "fp32", True),
    ("onnxruntime", "int8", True),
    ("onnxruntime", "int4", True),
    ("ctranslate2", "fp32", False),
    ("ctranslate2", "int8", False),
    ("ctranslate2", "fp32", True),
    ("ctranslate2", "int8", True),
)


def published(name: str) -> Architecture:
    """Return a published Architecture by the beginning of its name."""
    with open(REFERENCE, newline="") as stream:
        row = next(row for row in csv.DictReader(stream) if row["name"].startswith(name))

    def numbers(side: str, key: str) -> tuple[int, ...]:
        return tuple(json.loads(row[key]))[: int(row[f"{side}_layer_num"])]

    return Architecture(
        encoder_embed_dim=int(row["encoder_embed_dim"]),
        encoder_ffn_dim=numbers("encoder", "encoder_ffn_embed_dim"),
        encoder_heads=numbers("encoder", "encoder_self_attention_heads"),
        decoder_embed_dim=int(row["decoder_embed_dim"]),
        decoder_ffn_dim=numbers("decoder", "decoder_ffn_embed_dim"),
        decoder_self_heads=numbers("decoder", "decoder_self_attention_heads"),
        decoder_cross_heads=numbers("decoder", "decoder_ende_attention_heads"),
        decoder_cross_span=tuple(PUBLISHED_SPANS[code] for code in numbers("decoder", "decoder_arbitrary_ende_attn")),
    )


def networks() -> dict[str, Blueprint]:
    """Return the networks by name."""
    settings = Settings()
    task = settings.task("wmt14ende")
    shape = Shape.of(settings.space_of("wmt14ende"), task.network, VOCABULARY, VOCABULARY)
    found = {name: blueprint_of(published(begin), shape) for name, begin in NAMES.items()}
    for name, baseline in BASELINES.items():
        network = settings.baseline(baseline).network
        own_shape = configured_shape(network, task.network, VOCABULARY, VOCABULARY)
        found[name] = blueprint_of(configured_architecture(network), own_shape)
    return found


def direct(folder: Path, blueprint: Blueprint, threads: int) -> Callable[[], object]:
    """Run CTranslate2 itself on a folder that the ctranslate2 Runtime wrote, with int8 and its shortlist."""
    import ctranslate2

    translator = ctranslate2.Translator(str(folder), compute_type="int8", inter_threads=1, intra_threads=threads)
    source = [blueprint.source_tokens[number] for number in synthetic_sentence(VOCABULARY, LENGTH)]

    def translate() -> object:
        return translator.translate_batch(
            [source],
            beam_size=BEAM,
            use_vmap=True,
            min_decoding_length=LENGTH,
            max_decoding_length=LENGTH,
            return_scores=True,
        )

    return translate


def sentence(model: LoadedModel) -> Callable[[], object]:
    """Return a function that translates one synthetic sentence."""
    return lambda: model.run_sentence(LENGTH, LENGTH, BEAM)


def contenders(blueprint: Blueprint, threads: int, candidates: int, folder: Path) -> dict[str, Callable[[], object]]:
    """Return the functions to time, by label."""
    weights = random_weights(blueprint.architecture, blueprint.shape, 1)
    found: dict[str, Callable[[], object]] = {}
    for name, precision, short in CONTENDERS:
        if precision not in RUNTIMES[name].precisions:
            continue
        chosen = runtime(name, precision, threads)
        if refusal(chosen.facts, blueprint.architecture) is not None:
            continue
        place = folder / f"{name}-{precision}-{short}"
        place.mkdir()
        chosen.write(place, blueprint, weights, Shortlist(range(4, candidates + 1), {}) if short else None)
        label = f"{name} {precision}{', shortlist' if short else ''}"
        began = time.perf_counter()
        found[label] = sentence(chosen.load(place, blueprint))
        print(f"  {label}: loaded in {time.perf_counter() - began:.2f} s", flush=True)
        if (name, precision, short) == ("ctranslate2", "int8", True):
            found["ctranslate2 int8, shortlist, direct"] = direct(place, blueprint, threads)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--candidates", type=int, default=2048)
    parser.add_argument("--only", nargs="+", help="names of networks")
    options = parser.parse_args()
    for threads in options.threads:
        for name, blueprint in networks().items():
            if options.only and name not in options.only:
                continue
            print(f"{name}, {threads} thread(s)")
            with tempfile.TemporaryDirectory() as folder:
                timed = contenders(blueprint, threads, options.candidates, Path(folder))
                wall: dict[str, list[float]] = {label: [] for label in timed}
                processor: dict[str, list[float]] = {label: [] for label in timed}
                for run in timed.values():
                    run()
                for _ in range(options.rounds):
                    for label, run in timed.items():
                        began, began_processor = time.perf_counter(), time.process_time()
                        run()
                        wall[label].append(1000 * (time.perf_counter() - began))
                        processor[label].append(1000 * (time.process_time() - began_processor))
            reference = statistics.median(processor.get("torch-published fp32", processor["torch fp32"]))
            print(f"{'':40}{'wall ms':>10}{'cpu ms':>10}{'times faster':>14}")
            for label in timed:
                cpu = statistics.median(processor[label])
                print(f"{label:40}{statistics.median(wall[label]):>10.1f}{cpu:>10.1f}{reference / cpu:>14.1f}")


if __name__ == "__main__":
    main()
