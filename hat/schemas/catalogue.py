"""Which artifact is which file below results/, its JSON schema, and whether a file is as it should be."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hat.errors import InputError
from hat.schemas.common import Record
from hat.schemas.data import BinaryCountsFile, CountsFile, ShortlistFile
from hat.schemas.latency import (
    BudgetsFile,
    ChoiceHeader,
    Chosen,
    ErrorsFile,
    LatencyFile,
    PredictorFile,
    Sample,
    SamplesHeader,
    Usage,
)
from hat.schemas.models import ModelFile, ScoreFile
from hat.schemas.reports import CompressionFile, CostFile, FiguresFile, SummaryFile, TableFile
from hat.schemas.search import ArchitectureFile, Evaluation, FrontFile, Measurement, ObjectivesFile
from hat.schemas.training import MetricsRow, TrainedFile, TranslatedFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Words in capitals stand for a name each, PATH for any folders.
PLACEHOLDER = re.compile(r"\b[A-Z]+\b")
# Unfinished work, which only the stage that left it reads; files that a Runtime's own library writes.
OTHERS = frozenset({"partial", "network", "downloads"})
MOST_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A kind of artifact.

    Args:
        name: that its schema is asked for by.
        files: where it stands below results/.
        model: what it holds; of JSON lines, what a row holds.
        what: one line.
        header: of JSON lines with a first row of another kind, what that holds.
    """

    name: str
    files: tuple[str, ...]
    model: Any
    what: str
    header: type[Record] | None = None

    @property
    def lines(self) -> bool:
        """Whether it is a file of JSON lines."""
        return self.files[0].endswith(".jsonl")

    @cached_property
    def _adapters(self) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
        rows: TypeAdapter[Any] = TypeAdapter(self.model)
        return (rows if self.header is None else TypeAdapter(self.header)), rows

    def holds(self, file: str) -> bool:
        """Whether a file, named from results/, is one."""
        return any(_pattern(pattern).fullmatch(file) for pattern in self.files)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema; of JSON lines, that of a row."""
        first, rows = self._adapters
        of_rows = rows.json_schema(mode="serialization")
        if self.header is None:
            found = of_rows
        else:
            of_first = first.json_schema(mode="serialization")
            parts = of_first.pop("$defs", {}) | of_rows.pop("$defs", {})
            found = {"anyOf": [of_first, of_rows], "$defs": parts}
        return {"$schema": DIALECT, **found, "title": self.files[0], "description": self.what}

    def problems(self, path: Path) -> list[str]:
        """What is wrong with a file, a sentence each.

        Raises:
            InputError: it cannot be read.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        if not self.lines:
            return _problems(self._adapters[1], text, str(path))
        found = []
        for number, line in enumerate(text.splitlines(), start=1):
            adapter = self._adapters[number > 1]
            found += _problems(adapter, line, f"{path}, line {number}")
        return found


def _pattern(file: str) -> re.Pattern[str]:
    """Matches the files that one with placeholders stands for."""
    parts = [".+" if part == "PATH" else "[^/]+" if PLACEHOLDER.fullmatch(part) else None for part in _parts(file)]
    return re.compile("".join(kind or re.escape(part) for kind, part in zip(parts, _parts(file), strict=True)))


def _parts(file: str) -> list[str]:
    return [part for part in re.split(rf"({PLACEHOLDER.pattern})", file) if part]


def _problems(adapter: TypeAdapter[Any], text: str, where: str) -> list[str]:
    try:
        adapter.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)
        said = [
            f"{where}: {'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}, got {str(one['input'])[:60]!r}"
            for one in found[:MOST_SHOWN]
        ]
        return said if len(found) <= MOST_SHOWN else [*said, f"{where}: and {len(found) - MOST_SHOWN} more"]
    except InputError as error:
        # From the code's own types.
        return [f"{where}: {error}"]
    return []


PLACE = "TASK/DEVICE/BUDGET"
TRAINED = ("TASK/supertransformer", "TASK/baselines/BASELINE", f"{PLACE}/subtransformer")
IMPORTED = ("published/NAME/subtransformer", "published/NAME/supertransformer")
DEPLOYED = (PLACE, f"{PLACE}/FORM", "published/NAME")
# In this order: the first that matches is it.
ARTIFACTS = (
    Artifact(
        name="counts",
        files=("TASK/data/counts.json", "published/data/TASK/counts.json"),
        model=CountsFile,
        what="The text of each split.",
    ),
    Artifact(
        name="binary-counts",
        files=("TASK/data/binary/counts.json", "published/data/TASK/binary/counts.json"),
        model=BinaryCountsFile,
        what="The binarised splits.",
    ),
    Artifact(
        name="training",
        files=tuple(f"{folder}/config.json" for folder in (*TRAINED, *IMPORTED)),
        model=TrainedFile,
        what="A trained network: its resolved settings, and what came of it.",
    ),
    Artifact(
        name="metrics",
        files=tuple(f"{folder}/metrics.jsonl" for folder in TRAINED),
        model=MetricsRow,
        what="How training went, a row each.",
    ),
    Artifact(
        name="translated",
        files=("TASK/translated/TEACHER/translated.json",),
        model=TranslatedFile,
        what="The training set with a teacher's translations for targets.",
    ),
    Artifact(
        name="shortlist",
        files=("TASK/shortlist/shortlist.json",),
        model=ShortlistFile,
        what="The size of the shortlist, and all that were compared.",
    ),
    Artifact(
        name="evaluations",
        files=("TASK/search/evaluations.jsonl",),
        model=Evaluation,
        what="What Architectures are worth, a row for some blocks of sentences each.",
    ),
    Artifact(
        name="objectives",
        files=("TASK/search/objectives.json",),
        model=ObjectivesFile,
        what="How well validation loss ranks Architectures as BLEU does.",
    ),
    Artifact(
        name="architectures",
        files=("TASK/DEVICE/latency/architectures.jsonl",),
        model=Chosen,
        header=ChoiceHeader,
        what="The Architectures to measure, a row each after a header.",
    ),
    Artifact(
        name="samples",
        files=("TASK/DEVICE/latency/samples/SHARD.jsonl",),
        model=Sample,
        header=SamplesHeader,
        what="Measured Architectures, a row each after a header.",
    ),
    Artifact(
        name="predictor",
        files=("TASK/DEVICE/predictor/predictor.json",),
        model=PredictorFile,
        what="The latency predictor.",
    ),
    Artifact(
        name="errors",
        files=("TASK/DEVICE/predictor/errors.json",),
        model=ErrorsFile,
        what="Errors of the predictor on Architectures that it was not fitted to.",
    ),
    Artifact(
        name="budgets",
        files=("TASK/DEVICE/budgets.json",),
        model=BudgetsFile,
        what="Budgets read off the predicted range.",
    ),
    Artifact(
        name="front",
        files=("TASK/DEVICE/search/front.json",),
        model=FrontFile,
        what="The search for all budgets.",
    ),
    Artifact(
        name="measurements",
        files=("TASK/DEVICE/search/measurements.jsonl",),
        model=Measurement,
        what="Candidates measured on the device, a row for each visit.",
    ),
    Artifact(
        name="architecture",
        files=(f"{PLACE}/architecture.json",),
        model=ArchitectureFile,
        what="The winner of a search, and why it won.",
    ),
    Artifact(
        name="latency",
        files=tuple(f"{folder}/latency.json" for folder in DEPLOYED),
        model=LatencyFile,
        what="What is deployed, measured on the device, end to end, sentence by sentence.",
    ),
    Artifact(
        name="score",
        files=tuple(f"{folder}/score.json" for folder in DEPLOYED),
        model=ScoreFile,
        what="Translations of the test split, scored.",
    ),
    Artifact(
        name="model",
        files=(*(f"{folder}/model/model.json" for folder in DEPLOYED), "TASK/DEVICE/elastic/model/model.json"),
        model=ModelFile,
        what="What is deployed, and how to run it.",
    ),
    Artifact(
        name="figures",
        files=("figures/PATH/figures.json",),
        model=FiguresFile,
        what="What was drawn into a folder, and what is lacking.",
    ),
    Artifact(name="cost", files=("tables/cost.json",), model=CostFile, what="What searches cost, estimated."),
    Artifact(
        name="table",
        files=tuple(
            f"tables/{name}.json"
            for name in (
                *("main", "inherited", "significance", "quantisation"),
                *("architectures", "predictors", "benchmarks"),
            )
        ),
        model=TableFile,
        what="A table over all tasks and devices.",
    ),
    Artifact(
        name="compression",
        files=("tables/TASK-DEVICE-compression.json",),
        model=CompressionFile,
        what="Size and scores per precision.",
    ),
    Artifact(
        name="summary",
        files=("tables/TASK-DEVICE.json",),
        model=SummaryFile,
        what="The summary of a task on a device.",
    ),
    Artifact(
        name="usage",
        files=("usage/PATH.jsonl",),
        model=Usage,
        what="What a stage used of a machine, a row each.",
    ),
)


def artifact(name: str) -> Artifact:
    """An artifact by name.

    Raises:
        InputError: there is none of that name.
    """
    for one in ARTIFACTS:
        if one.name == name:
            return one
    raise InputError(f"artifact {name!r} is unknown, expected one of {', '.join(one.name for one in ARTIFACTS)}")


def artifact_of(file: str) -> Artifact | None:
    """What a file, named from results/, is; None where nothing is known of it."""
    return next((one for one in ARTIFACTS if one.holds(file)), None)


def files_of(root: Path) -> Iterator[str]:
    """JSON files below results/ that are artifacts, by their names from there."""
    for path in sorted(root.rglob("*.json*")):
        parts = path.relative_to(root).parts
        if path.suffix in (".json", ".jsonl") and not OTHERS & {*parts} and not path.name.startswith("."):
            yield "/".join(parts)


def check(root: Path) -> tuple[int, list[str]]:
    """Compare all artifacts below results/ with their schemas.

    Returns:
        How many there are, and what is wrong, a sentence each; a file of which no schema is known is wrong.
    """
    problems, count = [], 0
    for file in files_of(root):
        count += 1
        known = artifact_of(file)
        problems += [f"{root / file}: no schema is known"] if known is None else known.problems(root / file)
    return count, problems


def documents() -> dict[str, str]:
    """Every JSON schema as text, by the name of its file."""
    return {f"{one.name}.json": json.dumps(one.schema(), indent=2, ensure_ascii=False) + "\n" for one in ARTIFACTS}
