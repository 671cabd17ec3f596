"""How a winner's weights are had, compared at equal numbers of updates.

    python tests/benchmarks/weights.py bibleende local 150ms --updates 3000

The Architecture of a budget that was searched is trained from random weights, from inherited ones, and both with the
SuperTransformer's largest network as a teacher, by words, by its translations, and both. Each variant is trained in a
folder of its own below results/benchmarks/weights, which has links to the task's data and SuperTransformer; warm-up
is a tenth of the updates, and checkpoints are averaged over the last fifth. An interrupted run goes on where it was.
BLEU is that of the whole validation split, beam 5: who learns from translations is sure of them, which likelihood of
the references holds against him.
"""

import argparse
import sys
from pathlib import Path

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, TaskScope
from hat.config.settings import Settings
from hat.data.task_shape import task_shape
from hat.data.validation_texts import ValidationTexts
from hat.model.networks import build_network
from hat.runtime.decoding import configured_decoding
from hat.search.bleu_objective import validation_bleu
from hat.space.architecture import Architecture
from hat.train import checkpoints
from hat.train.stages import train_subtransformer
from hat.train.translated import translate_training

STARTS = ("random", "inherited")
TAUGHT = (None, "word", "sequence", "both")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("device")
    parser.add_argument("budget")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--start", choices=STARTS, action="append", help="only these; repeatable")
    parser.add_argument("--taught", choices=("none", *TAUGHT[1:]), action="append", help="only these; repeatable")
    options = parser.parse_args()
    whole = Results(options.results)
    print("| start | taught by | validation nll | validation BLEU | seconds |\n| --- | --- | ---: | ---: | ---: |")
    for start in options.start or STARTS:
        for taught in options.taught or TAUGHT:
            taught = None if taught == "none" else taught
            training = {"initial_weights": start, "updates": options.updates}
            # As the Bible tasks are shipped, in proportion.
            training |= {"warmup_updates": options.updates // 10, "save_every": options.updates // 15}
            if taught is not None:
                training |= {"teacher": "supertransformer", "distillation": taught}
            settings = Settings({"tasks": {options.task: {"subtransformer": training}}})
            own = Results(whole.root / "benchmarks" / "weights" / f"{options.updates}-{start}-{taught or 'text'}")
            folder = own.budget(options.task, options.device, options.budget)
            folder.mkdir(parents=True, exist_ok=True)
            if taught in ("sequence", "both"):
                translate_training(TaskScope(settings, whole, options.task))
            links = [path(options.task) for path in (whole.data, whole.supertransformer)]
            for path in [*links, whole.translated(options.task, "supertransformer").parent]:
                link = own.root / path.relative_to(whole.root)
                if path.exists() and not link.exists():
                    link.symlink_to(path.resolve())
            found = whole.budget(options.task, options.device, options.budget) / "architecture.json"
            (folder / found.name).write_text(found.read_text())
            network = own.budget(options.task, options.device, options.budget) / "subtransformer"
            if not (network / "config.json").exists():
                train_subtransformer(BudgetScope(settings, own, options.task, options.device, options.budget))
            trained = read_json(network / "config.json")
            bleu = bleu_of(
                settings,
                whole,
                options.task,
                Architecture.from_dict(read_json(found)["architecture"], str(found)),
                network,
            )
            numbers = (f"{trained['validation']['nll']:.3f}", f"{bleu:.2f}", f"{trained['seconds']:.0f}")
            cells = (start, taught or "the text", *numbers)
            print("|", " | ".join(cells), "|", flush=True)


def bleu_of(settings: Settings, results: Results, task: str, architecture: Architecture, trained: Path) -> float:
    """Return the BLEU of a trained network on the validation split."""
    model = build_network(architecture, task_shape(TaskScope(settings, results, task)))
    model.load_state_dict(checkpoints.load(trained / "checkpoint.pt")["model"])
    texts = ValidationTexts(TaskScope(settings, results, task), sys.maxsize)
    return validation_bleu(model, texts, configured_decoding(settings.task(task).scoring))


if __name__ == "__main__":
    main()
