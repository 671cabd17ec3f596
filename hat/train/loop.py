"""The training loop of SuperTransformers and SubTransformers.

All randomness of an update (Architectures, batches, dropout) is a function of the seed and the number of the update, as
in the research code. A run that was killed and continues from a checkpoint therefore computes the same as an
uninterrupted one, bit for bit. Several processes together compute the same as one, up to rounding and dropout.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from hat.config.training import Training
from hat.data.binary.batches import Batch, Share, Shares, TrainingBatches
from hat.model.base import EncoderDecoder
from hat.model.supertransformer import SuperTransformer
from hat.space.architecture import Architecture
from hat.system.progress import Tracker, progress
from hat.train.checkpoints import CheckpointFolder
from hat.train.metrics import Meter, Metrics, perplexity
from hat.train.objective import Objective, validate
from hat.train.optimiser import Adam
from hat.train.processes import Processes
from hat.train.schedule import learning_rate

LOG_EVERY = 50
# Processes that prepare batches ahead of a GPU.
LOADERS = 2
Networks = Callable[[int, int], Sequence[Architecture]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Args:
        title: text of the progress bar.
        model: initialised network.
        training: settings.
        seed: seed of data order, dropout and sampling.
        batches: training batches.
        validation: validation batches.
        networks: returns the Architectures to train in batch b of update u, in-place teacher first; None for a fixed
            network.
        validated: Architecture to validate a SuperTransformer as.
        folder: folder for checkpoints and TensorBoard files.
        identity: digest of everything that the result depends on.
        processes: this process among those that train together.
        teacher: trained network to learn from in addition to the labels.
        teacher_share: weight of the teacher in the loss.
    """

    title: str
    model: EncoderDecoder
    training: Training
    seed: int
    batches: TrainingBatches
    validation: list[Batch]
    networks: Networks | None
    validated: Architecture | None
    folder: Path
    identity: str
    processes: Processes
    teacher: EncoderDecoder | None = None
    teacher_share: float = 1.0

    def train(self) -> tuple[dict[str, Tensor], float]:
        """Train to the end, from the latest checkpoint if there is one.

        Returns:
            The final weights, and the training time in seconds without interruptions.

        Raises:
            HatError: the loss is not finite, or the disk is full.
        """
        settings, processes = self.training, self.processes
        self.model.to(processes.device)
        objective = Objective(self.model, settings)
        optimiser = Adam(self.model, settings)
        scaler = torch.amp.GradScaler(processes.device.type, enabled=settings.precision == "fp16")
        checkpoints = CheckpointFolder(self.folder / "partial", self.identity, settings, processes)
        saved = checkpoints.latest()
        if saved is not None:
            self.model.load_state_dict(saved["model"])
            optimiser.load_state_dict(saved["optimiser"])
            scaler.load_state_dict(saved["scaler"])
        start = int(saved["update"]) if saved is not None else 0
        meter = Meter(processes, saved["meter"] if saved is not None else None)
        metrics = self._metrics(checkpoints.folder, start)
        objective.train()
        with self._progress() as show:
            show(start)
            if start == 0:
                self._validate(0, objective, meter, metrics)
            step = Step(self, objective, optimiser, scaler)
            for update, share in enumerate(self._shares(start), start=start + 1):
                figures = step(update, share, meter)
                last = update == settings.updates
                if update % LOG_EVERY == 0 or last:
                    row = meter.flush(update)
                    if metrics is not None:
                        figures["gradient_norm"] = float(figures["gradient_norm"])
                        metrics.append("train", update, row | figures)
                if update % settings.validate_every == 0 or last:
                    checkpoints.offer(self._validate(update, objective, meter, metrics), meter, self.model)
                if update % settings.save_every == 0 or last:
                    state = {"model": self.model.state_dict(), "optimiser": optimiser.state_dict()}
                    progressed = {"update": update, "meter": meter.state(), "scaler": scaler.state_dict()}
                    checkpoints.save(update, state | progressed)
                show(update, meter.note)
        if metrics is not None:
            metrics.close()
        return checkpoints.final(), meter.seconds

    def _metrics(self, folder: Path, start: int) -> Metrics | None:
        """Return the metrics file of the first process, None in the others."""
        if not self.processes.first:
            return None
        return Metrics(folder, start, self.folder / "tensorboard" if self.training.tensorboard else None)

    @contextlib.contextmanager
    def _progress(self) -> Iterator[Tracker]:
        if self.processes.first:
            with progress(self.title, self.training.updates) as show:
                yield show
        else:
            yield lambda completed, note="": None

    def _shares(self, start: int) -> Iterator[Share]:
        """Yield the batches of this process for each update, on its device."""
        processes, settings = self.processes, self.training
        on_gpu = processes.device.type == "cuda"
        loader = DataLoader(
            Shares(self.batches, settings.accumulate, processes.rank, processes.count),
            sampler=range(start + 1, settings.updates + 1),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=LOADERS if on_gpu else 0,
            pin_memory=on_gpu,
        )
        for share in loader:
            yield Share(tuple(batch.to(processes.device) for batch in share.batches), share.numbers, share.tokens)

    def _validate(self, update: int, objective: Objective, meter: Meter, metrics: Metrics | None) -> float:
        """Log the validation losses and return the nll, nats per token."""
        if self.validated is not None:
            select(self.model, self.validated)
        result = validate(objective, self.validation, self.processes)
        if metrics is not None:
            row = {"loss": result.loss, "nll": result.nll, "ppl": perplexity(result.nll)}
            metrics.append("validate", update, row)
        meter.validation = f"validation nll {result.nll:.3f}"
        meter.restart_clock()
        return result.nll


class Step:
    """One update of the weights."""

    def __init__(self, run: Run, objective: Objective, optimiser: Adam, scaler: torch.amp.GradScaler) -> None:
        self.run = run
        self.objective = objective
        self.optimiser = optimiser
        self.scaler = scaler
        self.parallel: nn.Module = objective
        self.teacher: Objective | None = None
        if run.teacher is not None:
            self.teacher = Objective(run.teacher.to(run.processes.device), run.training).eval()
        if run.processes.count > 1:
            on_gpu = run.processes.device.type == "cuda"
            with warnings.catch_warnings():
                # Its new name is unknown to the oldest torch that is supported.
                warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
                self.parallel = DistributedDataParallel(
                    objective,
                    device_ids=[run.processes.device.index] if on_gpu else None,
                    # Layers beyond the sampled depth get no gradient.
                    find_unused_parameters=run.networks is not None,
                    # Position tables grow in each process as its sentences need.
                    broadcast_buffers=False,
                )

    def __call__(self, update: int, share: Share, meter: Meter) -> dict[str, Any]:
        """Apply an update and return figures for the log."""
        run, settings = self.run, self.run.training
        torch.manual_seed((run.seed * 1_000_003 + update) * run.processes.count + run.processes.rank)
        work = [
            (batch, run.networks(update, number) if run.networks is not None else [None])
            for batch, number in zip(share.batches, share.numbers, strict=True)
        ]
        networks = len(work[0][1])
        # DistributedDataParallel averages over processes.
        scale = run.processes.count / (share.tokens * networks)
        loss = nll = torch.zeros((), dtype=torch.float64, device=run.processes.device)
        for index, (batch, architectures) in enumerate(work):
            summed = self._backward(batch, architectures, scale, last=index == len(work) - 1)
            loss, nll = loss + summed[0], nll + summed[1]
        rate = learning_rate(settings, update)
        self.scaler.unscale_(self.optimiser)
        gradients = [each.grad for each in run.model.parameters() if each.grad is not None]
        norm = nn.utils.get_total_norm(gradients, foreach=True)
        if settings.clip_norm:
            nn.utils.clip_grads_with_norm_(run.model.parameters(), settings.clip_norm, norm, foreach=True)
        self.optimiser.update(rate, self.scaler)
        meter.add(loss, nll, share.tokens, networks)
        figures: dict[str, Any] = {"learning_rate": rate, "gradient_norm": norm}
        if (architecture := work[0][1][0]) is not None:
            figures["architecture"] = architecture.digest
        return figures

    def _backward(
        self, batch: Batch, architectures: Sequence[Architecture | None], scale: float, *, last: bool
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of a batch for all its Architectures; return the summed loss and nll."""
        loss = nll = torch.zeros((), dtype=torch.float64, device=batch.source.device)
        teacher = None if self.teacher is None else self.teacher.teaching(batch, self.run.teacher_share)
        for number, architecture in enumerate(architectures):
            if architecture is not None:
                select(self.run.model, architecture)
            final = last and number == len(architectures) - 1
            with contextlib.nullcontext() if final else self._without_exchange():
                summed, summed_nll, hidden = self.parallel(batch.source, batch.previous, batch.target, teacher)
                torch.autograd.backward(self.scaler.scale(summed * scale))
            if number == 0 and len(architectures) > 1:
                teacher = self.objective.as_teacher(hidden)
            loss, nll = loss + summed.detach().double(), nll + summed_nll.double()
        return loss, nll

    def _without_exchange(self) -> contextlib.AbstractContextManager[None]:
        """Keep gradients in this process; they are exchanged with the last batch of an update."""
        if isinstance(self.parallel, DistributedDataParallel):
            return self.parallel.no_sync()
        return contextlib.nullcontext()


def select(model: EncoderDecoder, architecture: Architecture) -> None:
    """Select the SubTransformer of an Architecture."""
    assert isinstance(model, SuperTransformer)
    model.select(architecture)


def _as_it_is(share: Any) -> Any:
    return share
