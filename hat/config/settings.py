"""Reading config/: files, overrides and their precedence, with all errors reported at once.

Later layers win: defaults of the models, the file of the task, space or device, config/config.yaml,
``--configfile``, the command line. The last three arrive here merged, as one mapping.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hat.artifacts.table import reserved
from hat.config.baseline import Baseline
from hat.config.configuration import Configuration
from hat.config.confined import confined
from hat.config.device import Device
from hat.config.networks import Space
from hat.config.runtimes import RUNTIMES
from hat.config.task import Task
from hat.config.training import Training
from hat.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
BUDGET = re.compile(r"^(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s)\Z")
# Name of the teacher that is the SuperTransformer's largest network; others are baselines.
SUPERTRANSFORMER = "supertransformer"
# Source of values given on the command line, for messages.
OVERRIDES = "overrides (--config, --configfile, --set)"


def budget_ms(budget: str) -> float:
    """Return the milliseconds of a budget such as ``150ms`` or ``3.5s``.

    Raises:
        InputError: the text is not a budget, or is zero.
    """
    match = BUDGET.match(budget)
    value = float(match["number"]) * (1000 if match["unit"] == "s" else 1) if match else 0.0
    if value <= 0:
        raise InputError(f"budget {budget!r}: expected a positive NUMBERms or NUMBERs, such as 150ms or 3.5s")
    return value


class Settings:
    """Everything in config/, validated.

    Args:
        overrides: nested mapping laid over config.yaml; dotted keys (``search.algorithm``) are allowed.
        folder: the folder that holds config.yaml, tasks/, spaces/, devices/ and baselines/.

    Raises:
        InputError: any file is missing or wrong; one line for each error.
    """

    def __init__(self, overrides: Mapping[str, Any] | None = None, folder: Path | str = "config") -> None:
        self.folder = Path(folder)
        self._errors: list[str] = []
        self._overrides = undotted(overrides or {})
        path = self.folder / "config.yaml"
        values = merge(self._read(path), self._overrides)
        over = {f"{OVERRIDES}, ": self._overrides}
        self.configuration = self._check(Configuration, values, str(path), over) or self._sound(Configuration, values)
        chosen = self.configuration
        for_every_task = {
            key: section
            for key, section in (("latency", chosen.latency), ("search", chosen.search), ("scoring", chosen.scoring))
            if section
        }
        self.spaces = self._load("spaces", Space, chosen.spaces, {})
        self.devices = self._load("devices", Device, chosen.devices, {})
        self.tasks = self._load("tasks", Task, chosen.tasks, for_every_task)
        self.baselines = self._load("baselines", Baseline, chosen.baselines, {})
        for name, task in self.tasks.items():
            if task.space not in self.spaces:
                self._errors.append(
                    f"{self.folder}/tasks/{name}.yaml, space: {task.space!r} is unknown, expected {_known(self.spaces)}"
                )
            teacher = task.subtransformer.teacher
            if teacher not in (None, SUPERTRANSFORMER, *self.baselines):
                self._errors.append(
                    f"{self.folder}/tasks/{name}.yaml, subtransformer.teacher: {teacher!r} is unknown, expected"
                    f" {SUPERTRANSFORMER} or {_known(self.baselines)}"
                )
            self._check_measured_space(name, task)
        self._check_baselines()
        if self._errors:
            # A wrong section that applies to all tasks is reported once.
            raise InputError("\n".join(dict.fromkeys(self._errors)))

    def changed(self, overrides: Mapping[str, Any]) -> "Settings":
        """Return this configuration with further overrides applied."""
        return Settings(merge(self._overrides, undotted(overrides)), self.folder)

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.configuration.seed

    def task(self, name: str) -> Task:
        """Return a task by name; raise InputError with the known names if it is unknown."""
        return _pick("task", self.tasks, name, self.folder)

    def device(self, name: str) -> Device:
        """Return a device by name; raise InputError with the known names if it is unknown."""
        return _pick("device", self.devices, name, self.folder)

    def baseline(self, name: str) -> Baseline:
        """Return a baseline by name; raise InputError with the known names if it is unknown."""
        return _pick("baseline", self.baselines, name, self.folder)

    def baseline_training(self, task: str, baseline: str) -> Training:
        """Return the training settings of a baseline: the task's SubTransformer settings with its own overrides.

        Raises:
            InputError: the overrides do not fit the task's settings.
        """
        overrides = self.baseline(baseline).training
        inherited = self.task(task).subtransformer.model_dump(include=set(Training.model_fields))
        try:
            return Training.model_validate(merge(inherited, undotted(overrides)))
        except ValidationError as error:
            file = f"{self.folder}/baselines/{baseline}.yaml, training, with the task {task!r}"
            raise InputError("\n".join(describe(error, Training, file))) from None

    def uses_shortlist(self, task: str, device: str) -> bool:
        """Whether models deployed on a device use the task's shortlist; not every Runtime can use one."""
        chosen = self.device(device)
        return chosen.shortlist and RUNTIMES[chosen.runtime].shortlist and self.task(task).shortlist.enabled

    def limit_ms(self, budget: str) -> float | None:
        """Return the milliseconds that a model for ``budget`` may take; None for a baseline, which has no limit.

        Raises:
            InputError: it is neither a budget nor a baseline.
        """
        if budget in self.baselines:
            return None
        try:
            return budget_ms(budget)
        except InputError as error:
            known = f"{_known(self.baselines)} (files in {self.folder}/baselines)"
            raise InputError(f"{error}, or a baseline, {known}") from None

    def space_of(self, task: str) -> Space:
        """Return the space of a task."""
        return self.spaces[self.task(task).space]

    def space_on(self, task: str, device: str) -> Space:
        """Return the part of a task's space that the Runtime of a device supports.

        Raises:
            InputError: nothing is left of it.
        """
        where = f"space {self.task(task).space!r} on device {device!r}"
        return confined(self.space_of(task), self.device(device).runtime, where)

    def measured_space_on(self, task: str, device: str) -> Space:
        """Return the part of the space of measured Architectures that the Runtime of a device supports.

        Raises:
            InputError: nothing is left of it.
        """
        name = self.task(task).latency.space
        if name is None:
            return self.space_on(task, device)
        return confined(self.spaces[name], self.device(device).runtime, f"space {name!r} on device {device!r}")

    def _check_measured_space(self, name: str, task: Task) -> None:
        """Check that the measured space has the same largest widths and encoder depth as the searched space."""
        measured = task.latency.space
        if measured is None or task.space not in self.spaces:
            return
        where = f"{self.folder}/tasks/{name}.yaml, latency.space"
        if measured not in self.spaces:
            self._errors.append(f"{where}: {measured!r} is unknown, expected {_known(self.spaces)}")
            return
        for key in ("qkv_dim", "encoder_embed_dim", "decoder_embed_dim", "encoder_layers"):
            both = [getattr(self.spaces[space], key) for space in (measured, task.space)]
            largest = [max(value) if isinstance(value, tuple) else value for value in both]
            if largest[0] != largest[1]:
                self._errors.append(
                    f"{where}: {measured!r} has {key} {largest[0]}, expected {largest[1]} as space {task.space!r}"
                )

    def _check_baselines(self) -> None:
        """Check that no baseline's name could be a budget or a reserved name, and check overrides of training."""
        for name, baseline in self.baselines.items():
            file = f"{self.folder}/baselines/{name}.yaml"
            taken = sorted(reserved("TASK", "DEVICE"))
            if BUDGET.match(name) or name in taken:
                self._errors.append(f"{file}: the name must not look like a budget or be one of {', '.join(taken)}")
            self._check(Training, undotted(baseline.training), f"{file}, training", {})

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            value = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._errors.append(f"{path}: no such file; run in the project's folder or give its configuration folder")
            return {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            self._errors.append(f"{path}: not YAML ({' '.join(str(error).split())})")
            return {}
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._errors.append(f"{path}: holds a {type(value).__name__}, expected keys and values")
            return {}
        return value

    def _load(
        self, kind: str, model: type[Model], overrides: Mapping[str, Any], for_all: Mapping[str, Any]
    ) -> dict[str, Model]:
        found: dict[str, Model] = {}
        files = {path.stem: path for path in sorted((self.folder / kind).glob("*.yaml"))}
        for name in overrides:
            if name not in files:
                self._errors.append(f"{self.folder}/config.yaml, {kind}.{name}: unknown, expected {_known(files)}")
        for name, path in files.items():
            if not NAME.match(name):
                self._errors.append(f"{path}: the name may hold letters, digits, - and _ only")
                continue
            own = overrides.get(name, {})
            over = {
                f"{OVERRIDES}, {kind}.{name}.": _part(_part(self._overrides, kind), name),
                f"{OVERRIDES}, ": self._overrides if for_all else {},
                f"{self.folder}/config.yaml, {kind}.{name}.": own,
                f"{self.folder}/config.yaml, ": for_all,
            }
            values = merge(merge(self._read(path), for_all), own)
            if (value := self._check(model, values, str(path), over)) is not None:
                found[name] = value
        return found

    def _sound(self, model: type[Model], values: Mapping[str, Any]) -> Model:
        """Build the model from the keys without errors, so that names they refer to are checked too."""
        try:
            return model.model_validate(values)
        except ValidationError as error:
            wrong = {problem["loc"][0] for problem in error.errors()}
            return model.model_validate({key: value for key, value in values.items() if key not in wrong})

    def _check(self, model: type[Model], values: Mapping[str, Any], file: str, over: Mapping[str, Any]) -> Model | None:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self._errors.extend(describe(error, model, file, over))
            return None


def describe(
    error: ValidationError, model: type[BaseModel], file: str, over: Mapping[str, Any] | None = None
) -> list[str]:
    """Return one line per problem: file, key, what is wrong, and the bad value.

    Args:
        error: the problems.
        model: the expected model.
        file: where the values are from.
        over: overrides, the strongest first, by the text that precedes their keys in messages.
    """
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        before = next((name for name, values in (over or {}).items() if _holds(values, problem["loc"])), f"{file}, ")
        where = f"{before}{key}" if key else file
        if problem["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown key{_allowed(model, problem['loc'][:-1])}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            value = problem["input"]
            shown = "" if problem["type"] == "value_error" or isinstance(value, dict) else f", got {value!r}"
            lines.append(f"{where}: {message}{shown}")
    return lines


def _holds(values: Any, location: tuple[int | str, ...]) -> bool:
    """Whether nested mappings hold a value at this location."""
    for part in location:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return bool(location)


def _part(values: Any, key: str) -> Any:
    return values.get(key) if isinstance(values, Mapping) else None


def _allowed(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Say which keys the section at ``location`` may have; empty if the model has no such section."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return ""
        model = field.annotation
    return ", expected one of " + ", ".join(model.model_fields)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Override ``below`` with ``above``, key by key; a mapping of another ``kind`` replaces the whole."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _other_kind(old, value):
            result[key] = merge(old, value)
        else:
            result[key] = value
    return result


def _other_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return "kind" in new and new["kind"] != old.get("kind")


def undotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"search.algorithm": x}`` into ``{"search": {"algorithm": x}}``, at every level."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        inner = undotted(value) if isinstance(value, Mapping) else value
        for part in reversed(str(key).split(".")):
            inner = {part: inner}
        result = merge(result, inner)
    return result


def _known(names: Mapping[str, Any]) -> str:
    return "one of " + ", ".join(sorted(names)) if names else "none (no file exists)"


def _pick(kind: str, known: Mapping[str, Model], name: str, folder: Path) -> Model:
    if name not in known:
        raise InputError(f"{kind} {name!r} is unknown, expected {_known(known)} (files in {folder}/{kind}s)")
    return known[name]
