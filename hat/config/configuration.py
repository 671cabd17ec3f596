"""Model of config.yaml."""

from typing import Annotated, Any

from pydantic import Field

from hat.config.base import Positive, Section
from hat.config.cost import Cost, Storage
from hat.config.report import ReportSettings

BudgetName = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s)$")]


class Budgets(Section):
    """What the default target asks for; its budgets are read off the measured range."""

    task: str = Field("demo", description="Task of the default target")
    device: str = Field("local", description="Device of the default target")
    count: Annotated[int, Field(ge=2, le=9)] = Field(
        3, description="Budgets, spread over the predicted range of the space"
    )
    budgets: tuple[BudgetName, ...] = Field((), description="Further budgets, such as 70ms, beside those")


class Configuration(Section):
    """config/config.yaml: what is true for all tasks, and overrides of the other files."""

    seed: int = Field(1, ge=0, description="Seed of everything random")
    gpus: int = Field(
        0, ge=0, description="GPUs of a training job on each machine, each for a process of its own; 0 for the CPU"
    )
    nodes: Positive = Field(
        1, description="Machines of a training job; more than one needs SLURM (docs/how-to/cluster.md)"
    )
    gpu_type: str = Field(
        "", description="Model of GPU that training asks a cluster for, as it calls it; empty for any"
    )
    demo: Budgets = Field(default_factory=Budgets, description="The default target")
    cost: Cost = Field(default_factory=Cost, description="What `hat cost` and `hat plan` estimate with")
    storage: Storage = Field(default_factory=Storage, description="Where finished results are copied to")
    report: ReportSettings = Field(
        default_factory=ReportSettings, description="What figures, tables and the report cover"
    )
    latency: dict[str, Any] = Field(default_factory=dict, description="Overrides of `latency` in every task")
    search: dict[str, Any] = Field(default_factory=dict, description="Overrides of `search` in every task")
    scoring: dict[str, Any] = Field(default_factory=dict, description="Overrides of `scoring` in every task")
    tasks: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overrides of single tasks, by name")
    spaces: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overrides of single spaces, by name")
    devices: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overrides of single devices, by name")
    baselines: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Overrides of single baselines, by name"
    )
