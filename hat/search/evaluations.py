"""The cache of evaluations, an append-only file that survives a killed search.

All budgets, devices and algorithms of a task share it, and so do processes that search at the same time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hat.artifacts.files import JsonLinesLog
from hat.config.search import ObjectiveName
from hat.errors import HatError, InputError
from hat.search.objective import VALUE_KEY, named_value
from hat.space.architecture import Architecture


@dataclass(frozen=True)
class Blocks:
    """Sums of an Architecture over the first blocks of validation sentences.

    The objective ``bleu`` has one block, the whole subset.

    Attributes:
        nll: NLL of each block in nats; with ``bleu`` 100 - BLEU.
        tokens: target tokens of each block; with ``bleu`` 1.
    """

    nll: tuple[float, ...]
    tokens: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.nll)

    def loss(self, blocks: int | None = None) -> float:
        """Return the objective value over the first ``blocks``; by default over all known blocks."""
        return math.fsum(self.nll[:blocks]) / math.fsum(self.tokens[:blocks])


class Evaluations:
    """Sums of Architectures by block, each written to disk at once.

    Args:
        path: JSON-lines file; created if missing.
        context: digest of everything but the Architecture that a sum depends on (weights, sentences, blocks); rows of
            another context are ignored.
        objective: name of the objective.
    """

    def __init__(self, path: Path, context: str, objective: ObjectiveName = "loss") -> None:
        self.path = path
        self.context = context
        self.objective = objective
        self._log = JsonLinesLog(path)
        self._known: dict[Architecture, Blocks] = {}
        self._lines = 0
        self.refresh()

    def __len__(self) -> int:
        return len(self._known)

    def refresh(self) -> None:
        """Read what other processes have appended.

        Raises:
            InputError: a row is not an evaluation.
        """
        for row in self._log.new_rows():
            self._lines += 1
            if row.get("context") == self.context:
                self._take(row, f"{self.path}, line {self._lines}")

    def _take(self, row: dict[str, Any], where: str) -> None:
        try:
            point = Architecture.from_dict(row["architecture"], where)
            if self.objective == "loss":
                first = int(row["first"])
                nll, tokens = tuple(map(float, row["nll"])), tuple(map(float, row["tokens"]))
            else:
                first, nll, tokens = 0, (float(row[VALUE_KEY]),), (1.0,)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: not an evaluation ({error!r})") from None
        known = self._known.get(point, Blocks((), ()))
        # Another process may have evaluated the same blocks.
        if first <= len(known) < first + len(nll):
            self._known[point] = Blocks(known.nll[:first] + nll, known.tokens[:first] + tokens)

    def architectures(self) -> list[Architecture]:
        """Return the Architectures with at least one known block."""
        return list(self._known)

    def get(self, architecture: Architecture) -> Blocks:
        """Return the known blocks of an Architecture; possibly none."""
        return self._known.get(architecture, Blocks((), ()))

    def add(self, architecture: Architecture, first: int, nll: Sequence[float], tokens: Sequence[float]) -> None:
        """Store the sums of the blocks from number ``first`` on; they are on disk when this returns.

        Raises:
            HatError: a sum is not a number, or the disk is full.
        """
        if not all(map(math.isfinite, nll)):
            raise HatError(
                f"search: the validation loss of Architecture {architecture.to_json()} is {math.fsum(nll)}; the"
                " SuperTransformer has diverged, so train it again with a lower learning rate"
            )
        row: dict[str, Any] = {"architecture": architecture.to_dict(), "context": self.context}
        if self.objective == "loss":
            row |= {"first": first, "nll": list(nll), "tokens": list(tokens)}
        else:
            row |= named_value(self.objective, *nll)
        self._log.append(row)
        self.refresh()
