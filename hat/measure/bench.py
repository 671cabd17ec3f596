"""Measurements on the machine that runs this code: this process for `local`, the agent's process on a device."""

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
from hat.measure.measurement import Measurement
from hat.measure.power import Unreadable, energy_j, idle_watts, meter_name
from hat.measure.stopwatch import stopwatch
from hat.measure.timing import time_sentences
from hat.measure.workload import Workload
from hat.runtime.base import Decoding, LoadedModel, synthetic_sentence
from hat.runtime.random_network import build
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture
from hat.space.shape import Shape
from hat.system.progress import Tracker

# The network of `hat device check`: of medium size, the same on all devices, so that their latencies compare.
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
    """Return the workload of `hat device check`."""
    return Workload(shape=CHECK_SHAPE, source_length=CHECK_LENGTH, target_length=CHECK_LENGTH, beam=beam)


class Bench:
    """A Runtime on this machine, with what measures it.

    Args:
        runtime: name of the Runtime.
        precision: one of its precisions.
        threads: CPU threads for each sentence.
        cores: numbers of the cores to pin measurements to; not pinned if None.
        seed: seed of random weights.
        accelerator: GPU that the Runtime executes on; the CPU if None.
        power: configuration of the power meter; None without a meter.

    Raises:
        InputError: the Runtime is unknown or not installed, or a core does not exist.
        HatError: the GPU does not exist.
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
        """Return ``runtime_version``, ``machine`` (a description), and the machine's ``fingerprint``."""
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
        """Make one visit to a random-weight network of this Architecture."""
        with self._pinned():
            model = build(self.runtime, architecture, workload.shape, seed=self.seed, candidates=workload.candidates)
            return self._measured(model, workload, warmup, repeats, tracker)

    def measure_folder(
        self, folder: Path, workload: Workload, warmup: int, repeats: int, tracker: Tracker | None = None
    ) -> Measurement:
        """Make one visit to a deployed folder, which is loaded for it."""
        with self._pinned():
            model = DeployedFolder.read(folder).load(self.runtime)
            return self._measured(model, workload, warmup, repeats, tracker)

    def translate(self, folder: Path, sources: list[list[int]], decoding: Decoding | None = None) -> list[list[int]]:
        """Translate with a deployed folder.

        Args:
            folder: the deployed folder.
            sources: token ids, the end symbol last.
            decoding: settings of the decoder; the folder's own if None.

        Returns:
            Token ids of the translations.
        """
        deployed = DeployedFolder.read(folder)
        translations = deployed.load(self.runtime).translate(sources, decoding or deployed.decoding)
        return [list(hypothesis.tokens) for hypothesis in translations]

    def check(self, beam: int, warmup: int, repeats: int, visits: int) -> Measurement:
        """Test the Runtime on a fixed random-weight network, and time it.

        Raises:
            HatError: a translation is impossible, or the same sentence is translated differently each time.
        """
        workload = check_workload(beam)
        with self._pinned():
            model = build(self.runtime, CHECK_ARCHITECTURE, CHECK_SHAPE, seed=self.seed)
            self._check_tokens(model, beam)
            return Measurement.merged([self._measured(model, workload, warmup, repeats) for _ in range(visits)])

    def _measured(
        self, model: LoadedModel, workload: Workload, warmup: int, repeats: int, tracker: Tracker | None = None
    ) -> Measurement:
        found = time_sentences(
            model, workload, warmup=warmup, repeats=repeats, tracker=tracker, stopwatch=self._stopwatch
        )
        if self.power is None:
            return found
        report = None if tracker is None else partial(tracker, len(found.timings_ms))
        energy = self._energy_j(self.power, model, workload, report)
        return replace(found, energies_j=(energy,), meter=meter_name(self.power))

    @staticmethod
    def _energy_j(
        power: Mapping[str, Any], model: LoadedModel, workload: Workload, report: Callable[[], None] | None
    ) -> float | None:
        """Return the energy of a sentence, averaged over lengths; None if the meter cannot be read."""

        def sentence(source: int, target: int) -> None:
            model.run_sentence(source, target, workload.beam)
            if report is not None:
                report()

        try:
            return math.fsum(
                share * energy_j(power, partial(sentence, source, target)) for source, target, share in workload.pairs
            )
        except Unreadable:
            # Keep the latency; `hat device check` shows the reason.
            return None

    def idle_watts(self) -> float | None:
        """Return the power of this machine while it runs no sentences; None without a meter.

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
                    f"runtime {self.runtime.facts.name!r}, {self.runtime.precision}: the translation of a random-weight"
                    f" network is impossible ({len(one.tokens)} tokens, score {one.score})"
                )

    @contextlib.contextmanager
    def _pinned(self) -> Iterator[None]:
        """Pin this thread, and those that a Runtime starts from it, to the configured cores."""
        if self.cores is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
