"""The models that a server chooses from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from hat.translator import Translator


class ModelPool(Protocol):
    """Models of one folder, for the same languages."""

    @property
    def names(self) -> Sequence[str]:
        """Those that :meth:`pick` gives."""

    def pick(self, latency_ms: float | None) -> tuple[str, Translator]:
        """Name and Translator of the best model within a latency, in milliseconds; of the default without one."""


class OneModel:
    """The pool of a folder that holds one model, which leaves nothing to choose."""

    def __init__(self, name: str, translator: Translator) -> None:
        self.names: Sequence[str] = (name,)
        self._only = name, translator

    @classmethod
    def from_folder(cls, folder: Path, *, beam: int | None, threads: int | None) -> Self:
        """Load a deployed folder; its budget or baseline is its name.

        Raises:
            InputError: a file is missing or malformed, or the Runtime is not installed.
        """
        translator = Translator.from_folder(folder, beam=beam, threads=threads)
        said = translator.description
        return cls(str(said.get("budget") or said.get("baseline") or folder.resolve().parent.name), translator)

    def pick(self, latency_ms: float | None) -> tuple[str, Translator]:
        """See :class:`ModelPool`."""
        return self._only
