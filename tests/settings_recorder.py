"""Notes which fields of the configuration are read, by the names that hat/workflow/dependencies.py gives them."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from hat.config.base import Effect, Section, effect_of
from hat.config.scope import DeviceScope, TaskScope
from hat.config.settings import Settings


class Recorder:
    """Notes fields of a task, a device and a baseline that are read while it is entered.

    A field is read where its value is taken, or where a section that holds it is dumped or compared. What decides
    which inputs a rule has, and what is only noted for the provenance of an artifact, is not the reading of a stage.

    Args:
        scope: the task, and the device where there is one; stages have to be run with its settings.
        baseline: name of the baseline.
    """

    def __init__(self, scope: TaskScope, baseline: str | None = None) -> None:
        self.read: set[str] = set()
        # By identity: name, and fields that are not the configuration's; the sections are held, so none is reused.
        self._known: dict[int, tuple[Any, str, frozenset[str]]] = {}
        self._quiet = 1
        self._take(scope.settings.configuration, "")
        self._take(scope.task_settings, "task")
        if isinstance(scope, DeviceScope):
            self._take(scope.device_settings, "device")
        self._take(scope.space, "space")
        if (measured := scope.task_settings.latency.space) is not None:
            self._take(scope.settings.spaces[measured], "measured_space")
        if baseline is not None:
            self._take(scope.settings.baseline(baseline), "baseline")

    def _take(self, value: Any, name: str, without: frozenset[str] = frozenset()) -> None:
        if isinstance(value, BaseModel):
            self._known[id(value)] = (value, name, without)
            for key in type(value).model_fields:
                inner = "latency" if (name, key) == ("task", "latency") else f"{name}.{key}".removeprefix(".")
                self._take(getattr(value, key), inner)
        elif isinstance(value, tuple | Mapping):
            for entry in value.values() if isinstance(value, Mapping) else value:
                self._take(entry, name)

    def _note(self, section: BaseModel, key: str) -> None:
        known = self._known.get(id(section))
        field = type(section).model_fields.get(key)
        if self._quiet or known is None or field is None or key in known[2]:
            return
        if effect_of(field) not in (None, Effect.NAMED):
            return
        value = section.__dict__[key]
        if not isinstance(value, BaseModel) and not _holds_sections(value):
            self.read.add(f"{known[1]}.{key}".removeprefix("."))

    def _note_all(self, section: BaseModel) -> None:
        for key in type(section).model_fields:
            self._note(section, key)
            for inner in _sections_in(section.__dict__[key]):
                self._note_all(inner)

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    @contextlib.contextmanager
    def __call__(self) -> Iterator[set[str]]:
        """Record the names of all settings that the block reads."""
        self.read = set()
        with pytest.MonkeyPatch.context() as patch:
            self._patch(patch)
            self._quiet = 0
            try:
                yield self.read
            finally:
                self._quiet = 1

    def _patch(self, patch: pytest.MonkeyPatch) -> None:
        from hat.search.context import SearchContext

        recorder = self
        get, dump, equal, copy = Section.__getattribute__, Section.model_dump, Section.__eq__, Section.model_copy

        def noted(section: Section, key: str) -> Any:
            if not key.startswith("_") and key in type(section).model_fields:
                recorder._note(section, key)
            return get(section, key)

        def dumped(section: Section, **options: Any) -> Any:
            if (wanted := options.get("include")) is None:
                recorder._note_all(section)
            for key in wanted or ():
                recorder._note(section, key)
            return dump(section, **options)

        def compared(section: Section, other: Any) -> bool:
            recorder._note_all(section)
            return equal(section, other)

        def copied(section: Section, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Section:
            made = copy(section, update=update, deep=deep)
            if (known := recorder._known.get(id(section))) is not None:
                with recorder._quietly():
                    recorder._take(made, known[1], known[2] | frozenset(update or ()))
            return made

        def resolved(method: Any, name: str) -> Any:
            def of(settings: Settings, *arguments: str) -> Section:
                with recorder._quietly():
                    made = copy(method(settings, *arguments))
                    recorder._take(made, name)
                return made

            return of

        def quiet(method: Any) -> Any:
            def of(*arguments: Any) -> Any:
                with recorder._quietly():
                    return method(*arguments)

            return of

        patch.setattr(Section, "__getattribute__", noted)
        patch.setattr(Section, "model_dump", dumped)
        patch.setattr(Section, "__eq__", compared)
        patch.setattr(Section, "model_copy", copied)
        for name, method in (
            ("confined_space", "space_on"),
            ("measured_space", "measured_space_on"),
            ("baseline.training", "baseline_training"),
        ):
            patch.setattr(Settings, method, resolved(getattr(Settings, method), name))
        # Whether a shortlist is an input of a rule: Snakemake looks at that itself.
        patch.setattr(Settings, "uses_shortlist", quiet(Settings.uses_shortlist))
        patch.setattr(SearchContext, "made_from", quiet(SearchContext.made_from))


def _sections_in(value: Any) -> list[BaseModel]:
    if isinstance(value, BaseModel):
        return [value]
    if isinstance(value, tuple | Mapping):
        return [
            found
            for entry in (value.values() if isinstance(value, Mapping) else value)
            for found in _sections_in(entry)
        ]
    return []


def _holds_sections(value: Any) -> bool:
    return bool(_sections_in(value))
