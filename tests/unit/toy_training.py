"""A tiny task to train on: configuration and binarised data."""

import random
from pathlib import Path

import yaml

from hat.artifacts.layout import Results
from hat.config.settings import Settings
from hat.data.binary.indexed import IndexedWriter
from hat.data.text.dictionary import Dictionary
from hat.data.text.special_tokens import END

WORDS = 36
SPACE = {
    "qkv_dim": 16,
    "encoder_embed_dim": [24, 16],
    "encoder_layers": [2],
    "encoder_ffn_dim": [32, 24],
    "encoder_heads": [4, 2],
    "decoder_embed_dim": [24, 16],
    "decoder_layers": [2, 1],
    "decoder_ffn_dim": [32, 16],
    "decoder_self_heads": [4, 2],
    "decoder_cross_heads": [2],
    "decoder_cross_span": [1, 2],
}
TRAINING = {
    "updates": 30,
    "batch_tokens": 128,
    "learning_rate": 1.0e-2,
    "warmup_updates": 5,
    "dropout": 0.1,
    "validate_every": 10,
    "save_every": 7,
    "average_checkpoints": 2,
    "threads": 1,
}


def make_project(tmp_path: Path) -> tuple[Settings, Results]:
    """Return settings and results of a task whose target is its source with every word one higher."""
    config = tmp_path / "config"
    for kind in ("tasks", "spaces", "devices"):
        (config / kind).mkdir(parents=True)
    (config / "config.yaml").write_text("seed: 3\n")
    (config / "spaces/toy.yaml").write_text(yaml.safe_dump(SPACE))
    task = {
        "source_language": "en",
        "target_language": "de",
        "space": "toy",
        "corpus": {"kind": "parallel", "train": {"tsv": {"kind": "file", "path": "none.tsv"}}},
        "network": {"norm": "pre"},
        "supertransformer": TRAINING,
        "subtransformer": TRAINING,
    }
    (config / "tasks/toy.yaml").write_text(yaml.safe_dump(task))
    results = Results(tmp_path / "results")
    data = results.data("toy")
    dictionary = Dictionary([(f"w{number}", 1) for number in range(WORDS)])
    rng = random.Random(1)
    for split, count in (("train", 300), ("validation", 40)):
        pairs = []
        for _ in range(count):
            source = [rng.randrange(4, 4 + WORDS - 1) for _ in range(rng.randint(2, 12))]
            pairs.append(([*source, END], [*[token + 1 for token in source], END]))
        for side, language in enumerate(("en", "de")):
            with IndexedWriter(data / "binary" / f"{split}.en-de.{language}", len(dictionary)) as writer:
                for pair in pairs:
                    writer.add(pair[side])
    for language in ("en", "de"):
        dictionary.save(data / f"dict.{language}.txt")
    return Settings(folder=config), results
