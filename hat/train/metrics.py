"""Metrics of a running training: metrics.jsonl, TensorBoard, the note of the progress bar."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hat.artifacts.files import JsonLinesLog, disk_error, read_jsonl, write_text
from hat.artifacts.files import canonical_json as to_json
from hat.errors import HatError
from hat.train.processes import Processes


class Metrics:
    """Writes ``metrics.jsonl`` and the same figures for TensorBoard.

    A run that resumes drops the rows after its checkpoint and writes them again.

    Args:
        folder: folder of the unfinished run.
        start: update to resume from.
        tensorboard: folder for TensorBoard files; None for none.
    """

    def __init__(self, folder: Path, start: int, tensorboard: Path | None) -> None:
        path = folder / "metrics.jsonl"
        if path.exists():
            rows = [row for row in read_jsonl(path) if 0 < start >= row["update"]]
            write_text(path, "".join(to_json(row) + "\n" for row in rows))
        self._log = JsonLinesLog(path)
        self._board = None
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(tensorboard, purge_step=start + 1)

    def append(self, event: str, update: int, row: dict[str, Any]) -> None:
        """Add a row.

        Raises:
            HatError: the disk is full.
        """
        self._log.append({"event": event, "update": update, **row})
        if self._board is not None:
            with self._disk_errors():
                for name, value in row.items():
                    if isinstance(value, int | float):
                        self._board.add_scalar(f"{event}/{name}", value, update)

    def close(self) -> None:
        """Flush the files for TensorBoard.

        Raises:
            HatError: the disk is full.
        """
        if self._board is not None:
            with self._disk_errors():
                self._board.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(error, self._log.path) or error from None


def perplexity(nll: float) -> float:
    """Return exp(nll), capped to stay finite."""
    return math.exp(min(nll, 700.0))


class Meter:
    """Mean losses and speed since the last row, and the time of the whole run; part of a checkpoint.

    Sums stay on the device until a row is due, so that updates do not wait for a GPU.
    """

    def __init__(self, processes: Processes, state: dict[str, Any] | None) -> None:
        self.processes = processes
        self.loss = float("nan")
        self.validation = ""
        self.best = state["best"] if state else math.inf
        sums = state["sums"] if state and processes.first else [0.0, 0.0, 0.0]
        self._sums = torch.tensor(sums, dtype=torch.float64, device=processes.device)
        self._tokens: int = state["tokens"] if state else 0
        self._started = time.perf_counter() - (state["seconds"] if state else 0.0)
        self.restart_clock()

    @property
    def note(self) -> str:
        """Latest training loss and validation nll, for the progress bar."""
        loss = "" if math.isnan(self.loss) else f"loss {self.loss:.3f}"
        return ", ".join(part for part in (loss, self.validation) if part)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, including those before the checkpoint that it resumed from."""
        return time.perf_counter() - self._started

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, with sums over all processes."""
        sums = self.processes.sum(self._sums.clone())
        return {"sums": sums.tolist(), "tokens": self._tokens, "seconds": self.seconds, "best": self.best}

    def restart_clock(self) -> None:
        """Measure speed from now on, without the time of validation or start-up."""
        self._began, self._trained = time.perf_counter(), 0

    def add(self, loss: Tensor, nll: Tensor, tokens: int, networks: int) -> None:
        """Count an update.

        Args:
            loss: sum over the tokens and networks of this process.
            nll: likewise.
            tokens: target tokens of all processes.
            networks: number of Architectures that trained on each token.
        """
        self._sums += torch.stack([loss, nll, torch.full_like(loss, tokens * networks / self.processes.count)])
        self._tokens += tokens
        self._trained += tokens

    def flush(self, update: int) -> dict[str, float]:
        """Return the figures since the last row.

        Raises:
            HatError: the loss is not finite.
        """
        loss, nll, count = self.processes.sum(self._sums).tolist()
        if not math.isfinite(loss):
            raise HatError(
                f"the loss is {loss} at update {update}: training has diverged; a lower `learning_rate`, more"
                " `warmup_updates` or a `clip_norm` may help"
            )
        self.loss, nll = loss / count, nll / count
        speed = self._trained / (time.perf_counter() - self._began)
        row = {
            "loss": self.loss,
            "nll": nll,
            "ppl": perplexity(nll),
            "tokens": self._tokens,
            "tokens_per_s": round(speed, 1),
        }
        self._sums.zero_()
        self._tokens = 0
        self.restart_clock()
        return row
