"""Measuring on the machine that this code runs on: in this process for `local`, in the agent on a device."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hat.runtime as runtimes
from hat.deploy.folder import DeployedFolder
from hat.errors import HatError, InputError
from hat.measure.fingerprint import fingerprint
from hat.measure.measurement import Measurement, measure
from hat.measure.power import Unreadable, energy_j, idle_watts, meter_name
from hat.measure.stopwatch import stopwatch
from hat.measure.workload import Workload
from hat.runtime.base import Decoding, LoadedModel, synthetic_sentence
from hat.runtime.random_network import build
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture
from hat.space.shape import Shape
from hat.system.progress import Tracker

# What a device is checked with: a network of middle size whose latency is comparable between devices.
CHECK_ARCHITECTURE = Architecture(
    encoder_embed_dim=256,
    encoder_ffn_dim=(1024,) * 3,
    encoder_heads=(4,) * 3,
    decoder_embed_dim=256,
    decoder_ffn_dim=(1024,) * 3,
    decoder_self_heads=(4,) * 3,
    decoder_cross_heads=(4,) * 3,
    decoder_cross_span=(1,) * 3,
)
CHECK_SHAPE = Shape(
    source_vocabulary=8000,
    target_vocabulary=8000,
    qkv_dim=256,
    super_encoder_dim=256,
    super_decoder_dim=256,
    super_encoder_layers=3,
    norm="pre",
    share_embeddings="all",
    vocab_original_scaling=False,
)
CHECK_LENGTH = 20


def check_workload(beam: int) -> Workload:
    """What a device is checked with."""
    return Workload(shape=CHECK_SHAPE, source_length=CHECK_LENGTH, target_length=CHECK_LENGTH, beam=beam)


class Bench:
    """A Runtime on this machine.

    Args:
        runtime: name of the Runtime.
        precision: one of its precisions.
        threads: CPU threads of a sentence.
        cores: those that measuring is pinned to, by number; not pinned where None.
        seed: of random weights.
        accelerator: GPU that the Runtime executes on; the processor where None.
        power: the power meter, as it is configured; None where there is none.

    Raises:
        InputError: the Runtime is unknown or not installed, or there is no such core.
        HatError: there is no such GPU.
    """

    def __init__(
        self,
        *,
        runtime: str,
        precision: str,
        threads: int,
        cores: Sequence[int] | None,
        seed: int,
        accelerator: str | None = None,
        power: Mapping[str, Any] | None = None,
    ) -> None:
        self.runtime = runtimes.runtime(runtime, precision, threads, accelerator=accelerator)
        self.accelerator = accelerator
        self._stopwatch = stopwatch(accelerator)
        self.cores = None if cores is None else tuple(cores)
        self.seed = seed
        self.power = power
        usable = os.sched_getaffinity(0)
        if self.cores is not None and not set(self.cores) <= usable:
            raise InputError(f"cores is {list(self.cores)}, but this machine has {sorted(usable)}")

    def machine_facts(self) -> dict[str, Any]:
        """``runtime_version``, ``machine`` in words, and the machine's ``fingerprint``."""
        found = fingerprint()
        machine = f"{found['processor']} ({found['architecture']})"
        if self.accelerator is not None:
            from hat.runtime.torch.accelerator import gpu_name

            machine = f"{gpu_name(self.accelerator)}, {machine}"
        return {"runtime_version": version(self.runtime.facts.package), "machine": machine, "fingerprint": found}

    def measure(
        self,
        architecture: AnyArchitecture,
        workload: Workload,
        warmup: int,
        repeats: int,
        tracker: Tracker | None = None,
    ) -> Measurement:
        """One visit to a network of that Architecture with random weights."""
        with self._pinned():
            model = build(self.runtime, architecture, workload.shape, seed=self.seed, candidates=workload.candidates)
            return self._measured(model, workload, warmup, repeats, tracker)

    def measure_folder(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker | None = None
    ) -> Measurement:
        """One visit to a deployed folder."""
        with self._pinned():
            model = DeployedFolder.read(folder).load(self.runtime)
            return self._measured(model, workload, warmup, repeats, tracker)

    def translate(self, folder: Path, sources: list[list[int]], decoding: Decoding | None = None) -> list[list[int]]:
        """Tokens that a deployed folder makes of sources (token numbers, end symbol last)."""
        deployed = DeployedFolder.read(folder)
        found = deployed.load(self.runtime).translate(sources, decoding or deployed.decoding)
        return [list(hypothesis.tokens) for hypothesis in found]

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """Whether the Runtime does what it should, and how fast: a made network translates, and is timed.

        Raises:
            HatError: it does not translate, or the same sentence differently each time.
        """
        workload = check_workload(beam)
        with self._pinned():
            model = build(self.runtime, CHECK_ARCHITECTURE, CHECK_SHAPE, seed=self.seed)
            self._check_tokens(model, beam)
            return Measurement.merged([self._measured(model, workload, warmup, repeats) for _ in range(visits)])

    def _measured(
        self, model: LoadedModel, workload: Workload, warmup: int, repeats: int, tracker: Tracker | None = None
    ) -> Measurement:
        found = measure(model, workload, warmup=warmup, repeats=repeats, tracker=tracker, stopwatch=self._stopwatch)
        if self.power is None:
            return found
        told = None if tracker is None else partial(tracker, len(found.timings_ms))
        energy = self._energy_j(self.power, model, workload, told)
        return replace(found, energies_j=(energy,), meter=meter_name(self.power))

    @staticmethod
    def _energy_j(
        power: Mapping[str, Any], model: LoadedModel, workload: Workload, told: Callable[[], None] | None
    ) -> float | None:
        """Energy of a sentence, the mean over lengths; None where the meter cannot be read."""

        def sentence(source: int, target: int) -> None:
            model.run_sentence(source, target, workload.beam)
            if told is not None:
                told()

        try:
            return math.fsum(
                share * energy_j(power, partial(sentence, source, target)) for source, target, share in workload.pairs
            )
        except Unreadable:
            # No reason to lose the latency; `check` says why.
            return None

    def idle_watts(self) -> float | None:
        """Power while nothing is asked of this machine; None where there is no meter.

        Raises:
            HatError: the meter cannot be read.
        """
        if self.power is None:
            return None
        try:
            return idle_watts(self.power)
        except Unreadable as error:
            raise HatError(f"its power meter cannot be read: {error}") from None

    def _check_tokens(self, model: LoadedModel, beam: int) -> None:
        sentence = synthetic_sentence(CHECK_SHAPE.source_vocabulary, CHECK_LENGTH)
        decoding = Decoding(beam=beam, max_length_ratio=0, max_length_extra=CHECK_LENGTH)
        first, second = (model.translate([sentence, sentence[5:]], decoding) for _ in range(2))
        if [one.tokens for one in first] != [one.tokens for one in second]:
            raise HatError(
                f"runtime {self.runtime.facts.name!r}, {self.runtime.precision}: the same sentence was translated to"
                f" {list(first[0].tokens)} and then to {list(second[0].tokens)}"
            )
        for one in first:
            fits = all(0 <= token < CHECK_SHAPE.target_vocabulary for token in one.tokens)
            if not fits or len(one.tokens) > CHECK_LENGTH or not -1e6 < one.score <= 0:
                raise HatError(
                    f"runtime {self.runtime.facts.name!r}, {self.runtime.precision}: a made network's translation is"
                    f" impossible ({len(one.tokens)} tokens, score {one.score})"
                )

    @contextlib.contextmanager
    def _pinned(self) -> Iterator[None]:
        """Keep this thread, and those that a Runtime starts from it, on the chosen cores."""
        if self.cores is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
