"""Model of config.yaml."""

from typing import Annotated, Any

from pydantic import Field

from hat.config.base import NO_EFFECT, Effect, Positive, Section
from hat.config.cost import Cost, Storage
from hat.config.report import ReportSettings

BudgetName = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s)$")]


class Budgets(Section):
    """What `snakemake` makes by default; its budgets are chosen from the measured range."""

    task: Annotated[str, NO_EFFECT] = Field("demo", description="Task of the default target")
    device: Annotated[str, NO_EFFECT] = Field("local", description="Device of the default target")
    count: Annotated[int, Field(ge=2, le=9)] = Field(
        3, description="Number of budgets, spread over the predicted latencies of the space"
    )
    budgets: Annotated[tuple[BudgetName, ...], NO_EFFECT] = Field((), description="Additional budgets, such as 70ms")


class Configuration(Section):
    """config/config.yaml: settings of all tasks, and overrides of the other files."""

    seed: int = Field(1, ge=0, description="Seed of everything random")
    gpus: Annotated[int, NO_EFFECT] = Field(
        0, ge=0, description="GPUs per machine for a training job, one process each; 0 trains on the CPU"
    )
    nodes: Annotated[Positive, NO_EFFECT] = Field(
        1, description="Machines per training job; more than one needs SLURM (docs/how-to/cluster.md)"
    )
    gpu_type: Annotated[str, NO_EFFECT] = Field(
        "", description="GPU model to request from a cluster, as the cluster names it; empty for any"
    )
    demo: Budgets = Field(default_factory=Budgets, description="The default target")
    cost: Annotated[Cost, NO_EFFECT] = Field(
        default_factory=Cost, description="Assumptions of `hat cost` and `hat plan`"
    )
    storage: Annotated[Storage, NO_EFFECT] = Field(
        default_factory=Storage, description="Where to copy finished results"
    )
    report: Annotated[ReportSettings, NO_EFFECT] = Field(
        default_factory=ReportSettings, description="What figures, tables and the report cover"
    )
    latency: Annotated[dict[str, Any], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of `latency` in every task"
    )
    search: Annotated[dict[str, Any], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of `search` in every task"
    )
    scoring: Annotated[dict[str, Any], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of `scoring` in every task"
    )
    tasks: Annotated[dict[str, dict[str, Any]], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of single tasks, by name"
    )
    spaces: Annotated[dict[str, dict[str, Any]], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of single spaces, by name"
    )
    devices: Annotated[dict[str, dict[str, Any]], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of single devices, by name"
    )
    baselines: Annotated[dict[str, dict[str, Any]], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of single baselines, by name"
    )
