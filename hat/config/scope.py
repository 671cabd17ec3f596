"""Scopes of stages: a task, on a device, for a budget, with the settings and the paths of artifacts."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from hat.artifacts.layout import Results
from hat.config.device import Device
from hat.config.networks import Space
from hat.config.settings import Settings
from hat.config.task import Task
from hat.config.variants import settings_for_variant


@dataclass(frozen=True)
class TaskScope:
    """A task.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: name of the task.
    """

    settings: Settings
    results: Results
    task: str

    def check(self) -> None:
        """Refuse unknown names.

        Raises:
            InputError: the task is unknown; the message lists the known ones.
        """
        self.settings.task(self.task)

    @property
    def task_settings(self) -> Task:
        """Configuration of the task; raises InputError if the task is unknown."""
        return self.settings.task(self.task)

    @property
    def space(self) -> Space:
        """The whole space of the task."""
        return self.settings.space_of(self.task)

    @property
    def data(self) -> Path:
        """Text after each step, codes, dictionaries, binarised splits, counts."""
        return self.results.data(self.task)

    @property
    def supertransformer(self) -> Path:
        """Folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of the SuperTransformer."""
        return self.results.supertransformer(self.task)

    @property
    def shortlist(self) -> Path:
        """Folder of ``vmap.txt`` and ``shortlist.json``, the task's lexical shortlist."""
        return self.results.shortlist(self.task)

    @property
    def evaluations(self) -> Path:
        """Objective values of Architectures, shared by all devices, budgets and search algorithms."""
        return self.results.evaluations(self.task)

    def baseline(self, name: str) -> Path:
        """Return the folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of a baseline."""
        return self.results.baseline(self.task, name)

    def translated(self, teacher: str) -> Path:
        """Return the folder of the training set with the translations of a teacher as targets."""
        return self.results.translated(self.task, teacher)

    def on(self, device: str) -> "DeviceScope":
        """Return the scope of this task on a device."""
        return DeviceScope(self.settings, self.results, self.task, device)

    def with_settings(self, settings: Settings) -> Self:
        """Return the same scope with another configuration."""
        return replace(self, settings=settings)


@dataclass(frozen=True)
class DeviceScope(TaskScope):
    """A task on a device.

    Args:
        device: name of the device.
    """

    device: str

    def check(self) -> None:
        """Refuse unknown names.

        Raises:
            InputError: the task or the device is unknown; the message lists the known ones.
        """
        super().check()
        self.settings.device(self.device)

    @property
    def device_settings(self) -> Device:
        """Configuration of the device; raises InputError if the device is unknown."""
        return self.settings.device(self.device)

    @property
    def device_space(self) -> Space:
        """The part of the task's space that the device's Runtime supports."""
        return self.settings.space_on(self.task, self.device)

    @property
    def measured_space(self) -> Space:
        """The part of the space of measured Architectures that the device's Runtime supports."""
        return self.settings.measured_space_on(self.task, self.device)

    @property
    def uses_shortlist(self) -> bool:
        """Whether models deployed on the device use the task's shortlist."""
        return self.settings.uses_shortlist(self.task, self.device)

    @property
    def device_folder(self) -> Path:
        """Folder of everything made for the task on the device."""
        return self.results.root / self.task / self.device

    @property
    def latency(self) -> Path:
        """Folder of ``architectures.jsonl``, ``samples/SHARD.jsonl`` and ``dataset.parquet``."""
        return self.results.latency(self.task, self.device)

    @property
    def predictor(self) -> Path:
        """Folder of ``predictor.json``, ``errors.json`` and ``accuracy.png``."""
        return self.results.predictor(self.task, self.device)

    @property
    def budgets(self) -> Path:
        """``budgets.json``: budgets chosen from the predicted range."""
        return self.results.budgets(self.task, self.device)

    @property
    def search(self) -> Path:
        """Folder of ``candidates.parquet``, ``front.parquet``, ``front.json`` and ``measurements.jsonl``."""
        return self.results.search(self.task, self.device)

    @property
    def where(self) -> str:
        """Task and device, for titles and messages."""
        return f"{self.task} on {self.device}"

    def of(self, budget: str) -> "BudgetScope":
        """Return the scope of a budget, or of a baseline by its name."""
        return BudgetScope(self.settings, self.results, self.task, self.device, budget)


@dataclass(frozen=True)
class BudgetScope(DeviceScope):
    """A budget of a task on a device, or a baseline instead of the budget.

    Args:
        budget: the budget, or the name of a baseline.
    """

    budget: str

    @property
    def is_baseline(self) -> bool:
        """Whether this is a baseline instead of a budget.

        Raises:
            InputError: it is neither a budget nor a baseline.
        """
        return self.settings.limit_ms(self.budget) is None

    @property
    def folder(self) -> Path:
        """Folder of everything made for the budget or baseline: ``bleu.txt``, ``latency.json``, ..."""
        return self.results.budget(self.task, self.device, self.budget)

    @property
    def subtransformer(self) -> Path:
        """Folder of ``checkpoint.pt``, ``metrics.jsonl``, ``config.json`` of the trained winner."""
        return self.folder / "subtransformer"

    @property
    def trained(self) -> Path:
        """Folder of the trained network that is deployed: the winner's, or the baseline's."""
        return self.baseline(self.budget) if self.is_baseline else self.subtransformer

    @property
    def model(self) -> Path:
        """The deployed folder: `hat translate` needs nothing else."""
        return self.folder / "model"

    def variant_folder(self, variant: str | None) -> Path:
        """Return the folder of ``model`` and its scores, for the deployed network (None) or a variant."""
        return self.folder if variant is None else self.folder / variant

    def as_variant(self, variant: str | None) -> Self:
        """Return the scope with settings for a variant of the network; unchanged if ``variant`` is None.

        Raises:
            InputError: the variant is unknown.
        """
        return self.with_settings(settings_for_variant(self.settings, self.task, self.device, variant))
