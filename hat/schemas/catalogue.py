"""The catalogue of JSON artifacts: which files they are, their JSON schemas, and the validation of files."""

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
# Folders without artifacts: unfinished work, files that a Runtime's library writes, downloads.
SKIPPED_FOLDERS = frozenset({"partial", "network", "downloads"})
MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Artifact:
    """A JSON artifact of :data:`hat.artifacts.table.KINDS` and its schema.

    Args:
        name: name of the schema.
        model: type of the content; for JSON lines, type of a row.
        header: type of the first row of JSON lines, if it differs.
        kinds: names of its kinds in the table; default: its own name.
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
        """Paths of the artifact below results/, with placeholders."""
        return tuple(file for kind in self._kinds for file in kind.files if file.endswith((".json", ".jsonl")))

    @property
    def what(self) -> str:
        """One-line description."""
        return self._kinds[0].what

    @property
    def lines(self) -> bool:
        """Whether it is a JSON-lines file."""
        return self.files[0].endswith(".jsonl")

    @cached_property
    def _adapters(self) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
        rows: TypeAdapter[Any] = TypeAdapter(self.model)
        return (rows if self.header is None else TypeAdapter(self.header)), rows

    def matches(self, file: str) -> bool:
        """Whether a path below results/ is this artifact."""
        return any(expression(pattern).fullmatch(file) for pattern in self.files)

    def schema(self) -> dict[str, Any]:
        """Return its JSON schema; for JSON lines, the schema of a row."""
        first, rows = self._adapters
        row_schema = rows.json_schema(mode="serialization")
        if self.header is None:
            found = row_schema
        else:
            first_schema = first.json_schema(mode="serialization")
            parts = first_schema.pop("$defs", {}) | row_schema.pop("$defs", {})
            found = {"anyOf": [first_schema, row_schema], "$defs": parts}
        return {"$schema": DIALECT, **found, "title": self.files[0], "description": self.what}

    def problems(self, path: Path) -> list[str]:
        """Validate a file; return one sentence per problem.

        Raises:
            InputError: the file cannot be read.
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
        sentences = [
            f"{where}: {'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}, got {str(one['input'])[:60]!r}"
            for one in found[:MOST_PROBLEMS]
        ]
        more = len(found) - MOST_PROBLEMS
        return [*sentences, f"{where}: and {more} more"] if more > 0 else sentences
    except InputError as error:
        # Raised by types of the code that are also schemas.
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
    """Return an artifact by name.

    Raises:
        InputError: the name is unknown.
    """
    for one in ARTIFACTS:
        if one.name == name:
            return one
    raise InputError(f"artifact {name!r} is unknown, expected one of {', '.join(one.name for one in ARTIFACTS)}")


def artifact_of(file: str) -> Artifact | None:
    """Return the artifact that a path below results/ is; None if it is unknown."""
    return next((one for one in ARTIFACTS if one.matches(file)), None)


def files_of(root: Path) -> Iterator[str]:
    """Yield the JSON files below results/ that are artifacts, as paths from there."""
    for path in sorted(root.rglob("*.json*")):
        parts = path.relative_to(root).parts
        if path.suffix in (".json", ".jsonl") and not SKIPPED_FOLDERS & {*parts} and not path.name.startswith("."):
            yield "/".join(parts)


def check(root: Path) -> tuple[int, list[str]]:
    """Validate all artifacts below results/.

    Returns:
        The number of files, and one sentence per problem; a file without a schema is a problem.
    """
    problems, count = [], 0
    for file in files_of(root):
        count += 1
        known = artifact_of(file)
        problems += [f"{root / file}: no schema is known"] if known is None else known.problems(root / file)
    return count, problems


def documents() -> dict[str, str]:
    """Return every JSON schema as text, by file name."""
    return {f"{one.name}.json": json.dumps(one.schema(), indent=2, ensure_ascii=False) + "\n" for one in ARTIFACTS}
