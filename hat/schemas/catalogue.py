"""Which artifact is which file below results/, its JSON schema, and whether a file is as it should be."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hat.artifacts.table import KINDS, Kind, expression
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
# Unfinished work, which only the stage that left it reads; files that a Runtime's own library writes.
OTHERS = frozenset({"partial", "network", "downloads"})
MOST_SHOWN = 5


@dataclass(frozen=True)
class Artifact:
    """A JSON artifact of :data:`hat.artifacts.table.KINDS` and its schema.

    Args:
        name: name of the schema.
        model: what it holds; of JSON lines, what a row holds.
        header: of JSON lines with a first row of another kind, what that holds.
        kinds: names of its kinds in the table; its own name by default.
    """

    name: str
    model: Any
    header: type[Record] | None = None
    kinds: tuple[str, ...] = ()

    @cached_property
    def _kinds(self) -> list[Kind]:
        return [kind for kind in KINDS if kind.name in (self.kinds or (self.name,))]

    @property
    def files(self) -> tuple[str, ...]:
        """Its paths below results/, with placeholders."""
        return tuple(file for kind in self._kinds for file in kind.files if file.endswith((".json", ".jsonl")))

    @property
    def what(self) -> str:
        """One line."""
        return self._kinds[0].what

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
        return any(expression(pattern).fullmatch(file) for pattern in self.files)

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


ARTIFACTS = (
    Artifact("counts", CountsFile, kinds=("counts", "published-counts")),
    Artifact("binary-counts", BinaryCountsFile),
    Artifact("training", TrainedFile, kinds=("training", "imported", "imported-super")),
    Artifact("metrics", MetricsRow),
    Artifact("translated", TranslatedFile),
    Artifact("shortlist", ShortlistFile),
    Artifact("evaluations", Evaluation),
    Artifact("objectives", ObjectivesFile),
    Artifact("architectures", Chosen, header=ChoiceHeader),
    Artifact("samples", Sample, header=SamplesHeader),
    Artifact("predictor", PredictorFile),
    Artifact("errors", ErrorsFile),
    Artifact("budgets", BudgetsFile),
    Artifact("front", FrontFile),
    Artifact("measurements", Measurement),
    Artifact("architecture", ArchitectureFile),
    Artifact("latency", LatencyFile),
    Artifact("score", ScoreFile),
    Artifact("model", ModelFile),
    Artifact("figures", FiguresFile),
    Artifact("cost", CostFile),
    Artifact("table", TableFile),
    Artifact("compression", CompressionFile),
    Artifact("summary", SummaryFile),
    Artifact("usage", Usage),
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
