"""Artifacts of the report: tables and the index of figures."""

from typing import Any

from pydantic import Field

from hat.data.significance import ALPHA, P_VALUE
from hat.schemas.common import Count, Key, Record, Share, WithProvenance

Cell = str | float | int | bool | None


class Shown(Record):
    """A figure that was drawn."""

    name: str = Field(description="name of its files, without the extension")
    title: str = Field(description="title of the figure")
    caption: str = Field(description="what it shows, and from which data")


class Missing(Record):
    """A figure that could not be drawn."""

    name: str = Field(description="name of its files, without the extension")
    missing: str = Field(description="the input that is missing")
    target: str = Field(description="Snakemake target that makes the input")


class FiguresFile(Record):
    """Index of a folder of figures."""

    figures: list[Shown] = Field(description="the figures that were drawn")
    lacking: list[Missing] = Field(description="the figures that could not be drawn")


class Interval(Record):
    """BLEU of a model with its confidence interval."""

    bleu: float = Field(description="BLEU on the test split")
    bleu_low: float = Field(description="lower end of its 95 % bootstrap interval")
    bleu_high: float = Field(description="upper end of its 95 % bootstrap interval")


class Pair(Record):
    """Two models compared by paired bootstrap."""

    first: str = Field(description="one model")
    second: str = Field(description="the other")
    difference: float = Field(description="BLEU of the second model minus BLEU of the first")
    p_value: Share = Field(description=f"{P_VALUE}, by paired bootstrap")
    significant: bool = Field(description=f"whether the p-value is below {ALPHA}")


class Significance(Record):
    """Comparisons of BLEU between models."""

    systems: dict[str, Interval] = Field(description="BLEU of each model")
    pairs: list[Pair] = Field(description="comparison of each pair of models")
    signature: str = Field(description="sacreBLEU signature")
    samples: Count = Field(description="number of bootstrap samples")
    identity: Key | None = Field(None, description="digest of the translations that were compared")


class Example(Record):
    """A test sentence."""

    source: str = Field(description="source sentence")
    reference: str = Field(description="reference translation")
    translations: dict[str, str] = Field(description="translation of each model")


class SummaryFile(WithProvenance):
    """The summary of a task on a device."""

    task: str = Field(description="name of the task")
    device: str = Field(description="name of the device")
    rows: list[dict[str, Cell]] = Field(description="one row per model, as in the CSV file")
    comparisons: list[str] = Field(description="sentences that compare the models")
    recommendation: str | None = Field(None, description="the model to use, in a sentence")
    doubts: list[str] = Field([], description="sentences about figures that are doubtful or need an explanation")
    examples: list[Example] = Field([], description="test sentences with their translations")
    significance: Significance = Field(description="differences in BLEU and their p-values")


class TableFile(WithProvenance):
    """A table over all tasks and devices."""

    title: str = Field(description="title of the table")
    rows: list[dict[str, Cell]] = Field(description="rows as in the CSV file")


class CompressionFile(WithProvenance):
    """Size and scores per precision."""

    task: str = Field(description="name of the task")
    device: str = Field(description="name of the device")
    reference: dict[str, Any] = Field(description="Transformer-Big, whose size the others are compared with")
    rows: list[dict[str, Cell]] = Field(description="rows as in the CSV file")


class StageCost(Record):
    """What all runs of a stage used, and its estimated cost."""

    stage: str = Field(description="name of the stage, as in the name of its log")
    runs: Count = Field(description="number of runs, including interrupted ones")
    seconds: float = Field(description="total duration of all runs")
    estimate: bool = Field(description="whether energy, carbon and price are estimates")
    gpu_hours: float = Field(description="GPU time used")
    cpu_hours: float = Field(description="CPU time used, over all cores")
    energy_kwh: float = Field(description="estimated energy")
    price_usd: float = Field(description="estimated price")
    carbon_kg: float = Field(description="estimated emissions, CO2 equivalents")
    how: str = Field(description="basis of the energy estimate")


class CostFile(WithProvenance):
    """Estimated cost of searches."""

    rows: list[dict[str, Cell]] = Field(description="rows as in the CSV file")
    stages: list[StageCost] = Field(description="cost of each stage")
    carbon_kg_per_kwh: float = Field(description="carbon intensity of the electricity")
