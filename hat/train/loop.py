"""The training loop of SuperTransformers and SubTransformers.

Everything random in an update is a function of the seed and the update's number, as the research code has it:
the Architecture, the batch and the dropout. A run that was killed and goes on from a checkpoint therefore
computes what an uninterrupted one does, bit for bit on a CPU.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.artifacts import JsonLinesLog, read_jsonl, write_text
from hat.artifacts import canonical_json as to_json
from hat.config import Training
from hat.data.batches import Batch, TrainingBatches
from hat.data.dictionary import PAD
from hat.model.transformer import Transformer
from hat.progress import progress
from hat.train.checkpoints import CheckpointFolder
from hat.train.loss import CHUNK, projected_loss
from hat.train.schedule import learning_rate

LOG_EVERY = 50


def precision_of(training: Training) -> torch.dtype:
    """Type of the matrix products."""
    return torch.bfloat16 if training.precision == "bf16" else torch.float32


def batch_loss(model: Transformer, batch: Batch, *, smoothing: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Label-smoothed loss and nll of a batch, summed over its target tokens, in nats."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        hidden = model(batch.source, batch.previous)
    target = batch.target.flatten()
    target = F.pad(target, (0, hidden.size(0) - target.size(0)), value=PAD)
    return projected_loss(hidden, model.output_weight, target, smoothing=smoothing, dtype=dtype)


def fix_rows(model: Transformer, training: Training) -> None:
    """In bf16, run in few different numbers of rows: see :mod:`hat.model.layers`."""
    model.row_multiple = CHUNK if precision_of(training) == torch.bfloat16 else 1


@dataclass(frozen=True)
class Validation:
    """Mean losses over a set of batches, nats a token."""

    loss: float
    nll: float


@torch.inference_mode()
def validate(model: Transformer, batches: list[Batch], training: Training) -> Validation:
    """Losses of the model as it is, without dropout."""
    was_training = model.training
    model.eval()
    loss = nll = 0.0
    for batch in batches:
        summed, summed_nll = batch_loss(model, batch, smoothing=training.label_smoothing, dtype=precision_of(training))
        loss, nll = loss + summed.item(), nll + summed_nll.item()
    model.train(was_training)
    tokens = sum(batch.tokens for batch in batches)
    return Validation(loss / tokens, nll / tokens)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Args:
        title: what the progress bar says.
        model: the network, initialised.
        training: its settings.
        seed: seed of data order, dropout and sampling.
        batches: training batches.
        validation: validation batches.
        prepare: called with the update's number before it: selects the Architecture of a SuperTransformer.
        before_validation: called before a validation.
        folder: where ``metrics.jsonl`` and the unfinished work go.
        identity: digest of all that the result depends on.
    """

    title: str
    model: Transformer
    training: Training
    seed: int
    batches: TrainingBatches
    validation: list[Batch]
    prepare: Callable[[int], dict[str, Any]]
    before_validation: Callable[[], None]
    folder: Path
    identity: str

    def train(self) -> tuple[dict[str, Tensor], float]:
        """Train to the end, from the latest checkpoint where there is one.

        Returns:
            The averaged weights of the last checkpoints, and the seconds that it all took, interruptions left out.
        """
        settings, model = self.training, self.model
        optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=1.0,
            betas=settings.adam_betas,
            eps=1e-8,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        keep = max(2, settings.average_checkpoints)
        checkpoints = CheckpointFolder(self.folder / "partial", self.identity, keep)
        start, meter = self._restore(checkpoints, optimiser)
        log = self._open_log(start)
        model.train()
        fix_rows(model, settings)
        with progress(self.title, settings.updates) as show:
            show(start)
            if start == 0:
                self._validate(0, log)
                meter.restart_clock()
            for update in range(start + 1, settings.updates + 1):
                row = self._update(update, optimiser)
                meter.add(row)
                if update % LOG_EVERY == 0 or update == settings.updates:
                    log.append({"event": "train", "update": update, **meter.flush(), **row["facts"]})
                if update % settings.validate_every == 0 or update == settings.updates:
                    meter.validation = f", validation nll {self._validate(update, log):.3f}"
                    meter.restart_clock()
                if update % settings.save_every == 0 or update == settings.updates:
                    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
                    checkpoints.save(update, {"update": update, "meter": meter.state(), **state})
                show(update, f"loss {meter.shown_loss:.3f}{meter.validation}")
        return checkpoints.average(settings.average_checkpoints), meter.seconds

    def _validate(self, update: int, log: JsonLinesLog) -> float:
        """Log the validation losses and return the nll, nats a token."""
        self.before_validation()
        result = validate(self.model, self.validation, self.training)
        log.append(
            {
                "event": "validate",
                "update": update,
                "loss": result.loss,
                "nll": result.nll,
                "ppl": math.exp(min(result.nll, 700.0)),
            }
        )
        return result.nll

    def _restore(self, checkpoints: CheckpointFolder, optimiser: torch.optim.Optimizer) -> tuple[int, "_Meter"]:
        if (latest := checkpoints.latest()) is None:
            return 0, _Meter(None)
        self.model.load_state_dict(latest["model"])
        optimiser.load_state_dict(latest["optimiser"])
        return int(latest["update"]), _Meter(latest["meter"])

    def _open_log(self, start: int) -> JsonLinesLog:
        """The metrics up to the checkpoint that the run goes on from; what came after it will come again."""
        path = self.folder / "partial" / self.identity / "metrics.jsonl"
        if path.exists():
            rows = [row for row in read_jsonl(path) if 0 < start >= row["update"]]
            write_text(path, "".join(to_json(row) + "\n" for row in rows))
        return JsonLinesLog(path)

    def _update(self, update: int, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        settings, model = self.training, self.model
        facts = self.prepare(update)
        torch.manual_seed(self.seed * 1_000_003 + update)
        first = (update - 1) * settings.accumulate
        batches = [self.batches[first + i] for i in range(settings.accumulate)]
        tokens = sum(batch.tokens for batch in batches)
        loss = nll = 0.0
        for batch in batches:
            summed, summed_nll = batch_loss(
                model, batch, smoothing=settings.label_smoothing, dtype=precision_of(settings)
            )
            torch.autograd.backward(summed / tokens)
            loss, nll = loss + summed.item(), nll + summed_nll.item()
        rate = learning_rate(settings, update)
        norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or float("inf"), foreach=True)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return {
            "loss": loss,
            "nll": nll,
            "tokens": tokens,
            "facts": {"learning_rate": rate, "gradient_norm": float(norm), **facts},
        }


class _Meter:
    """Mean losses and speed since the last row of the log, and the time of the whole run; part of a checkpoint."""

    def __init__(self, state: dict[str, Any] | None) -> None:
        self.loss = float("nan")
        self.validation = ""
        self.sums: dict[str, float] = state["sums"] if state else self._zero()
        self._started = time.perf_counter() - (state["seconds"] if state else 0.0)
        self.restart_clock()

    @property
    def shown_loss(self) -> float:
        """Mean loss of the last whole row of the log; before there is one, of what has been trained."""
        return self.loss if not math.isnan(self.loss) else self.sums["loss"] / self.sums["tokens"]

    @property
    def seconds(self) -> float:
        """Time of the run so far, with that before the checkpoint that it goes on from."""
        return time.perf_counter() - self._started

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"sums": self.sums, "seconds": self.seconds}

    @staticmethod
    def _zero() -> dict[str, float]:
        return {"loss": 0.0, "nll": 0.0, "tokens": 0}

    def restart_clock(self) -> None:
        """Measure speed from here on: what was before was not training."""
        self._began, self._trained = time.perf_counter(), 0

    def add(self, row: dict[str, Any]) -> None:
        for name in self.sums:
            self.sums[name] += row[name]
        self._trained += row["tokens"]

    def flush(self) -> dict[str, float]:
        tokens = self.sums["tokens"]
        self.loss, nll = self.sums["loss"] / tokens, self.sums["nll"] / tokens
        speed = self._trained / (time.perf_counter() - self._began)
        self.sums = self._zero()
        self.restart_clock()
        return {"loss": self.loss, "nll": nll, "ppl": math.exp(nll), "tokens": tokens, "tokens_per_s": round(speed, 1)}
