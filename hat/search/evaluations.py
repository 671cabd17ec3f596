"""Evaluations that survive a killed search: an append-only file of losses, keyed by canonical Architecture."""

import math
from pathlib import Path

from hat.artifacts import JsonLinesLog, read_jsonl
from hat.errors import HatError, InputError
from hat.space import Architecture


class Evaluations:
    """Validation losses of Architectures, each on disk as soon as it is known.

    Args:
        path: JSON-lines file; created where absent.
        context: digest of everything but the Architecture that a loss depends on (weights, validation
            subset); rows of another context stay in the file and are passed over.
    """

    def __init__(self, path: Path, context: str) -> None:
        self.path = path
        self.context = context
        self._log = JsonLinesLog(path)
        self._losses: dict[Architecture, float] = {}
        for number, row in enumerate(read_jsonl(path), start=1):
            if row.get("context") != context:
                continue
            where = f"{path}, line {number}"
            try:
                self._losses[Architecture.from_dict(row["architecture"], where)] = float(row["validation_loss"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{where}: not an evaluation ({error!r})") from None

    def __len__(self) -> int:
        return len(self._losses)

    def get(self, architecture: Architecture) -> float | None:
        """The loss, None where it is not known."""
        return self._losses.get(architecture)

    def add(self, architecture: Architecture, loss: float) -> None:
        """Keep a loss; it is on disk when this returns.

        Raises:
            HatError: the loss is not a number, or the disk is full.
        """
        if not math.isfinite(loss):
            raise HatError(
                f"search: the validation loss of Architecture {architecture.to_json()} is {loss}; the SuperTransformer"
                " has diverged, so train it again with a lower learning rate"
            )
        self._log.append({"architecture": architecture.to_dict(), "context": self.context, "validation_loss": loss})
        self._losses[architecture] = loss
