"""Artifacts of the report: tables and the index of figures."""

from typing import Any

from pydantic import Field

from hat.data.significance import ALPHA, P_VALUE
from hat.schemas.common import Count, Key, Made, Record, Share

Cell = str | float | int | bool | None


class Shown(Record):
    """A figure that was drawn."""

    name: str = Field(description="of its files, without the ending")
    title: str = Field(description="one line")
    caption: str = Field(description="what it shows, and which data")


class Missing(Record):
    """A figure that could not be drawn."""

    name: str = Field(description="of its files, without the ending")
    missing: str = Field(description="what it lacks")
    target: str = Field(description="what `snakemake` has to be asked for")


class FiguresFile(Record):
    """Index of a folder of figures."""

    figures: list[Shown] = Field(description="those that were drawn")
    lacking: list[Missing] = Field(description="those that could not be")


class Interval(Record):
    """BLEU of a model."""

    bleu: float = Field(description="on the test split")
    bleu_low: float = Field(description="lower end of its 95 % bootstrap interval")
    bleu_high: float = Field(description="upper end of its 95 % bootstrap interval")


class Pair(Record):
    """Two models compared by paired bootstrap."""

    first: str = Field(description="one model")
    second: str = Field(description="the other")
    difference: float = Field(description="BLEU of the second less that of the first")
    p_value: Share = Field(description=f"{P_VALUE}, by paired bootstrap")
    significant: bool = Field(description=f"whether the p-value is below {ALPHA}")


class Significance(Record):
    """Comparisons of BLEU."""

    systems: dict[str, Interval] = Field(description="each model")
    pairs: list[Pair] = Field(description="each two of them")
    signature: str = Field(description="sacreBLEU's")
    samples: Count = Field(description="of the bootstrap")
    identity: Key | None = Field(None, description="digest of the translations that were compared")


class SummaryFile(Made):
    """The summary of a task on a device."""

    task: str = Field(description="its name")
    device: str = Field(description="its name")
    rows: list[dict[str, Cell]] = Field(description="a row for each model, as in the CSV")
    comparisons: list[str] = Field(description="sentences about them")
    significance: Significance = Field(description="whether they differ in BLEU")


class TableFile(Made):
    """A table over all tasks and devices."""

    title: str = Field(description="one line")
    rows: list[dict[str, Cell]] = Field(description="as in the CSV")


class CompressionFile(Made):
    """Size and scores per precision."""

    task: str = Field(description="its name")
    device: str = Field(description="its name")
    reference: dict[str, Any] = Field(description="Transformer-Big, which sizes are compared with")
    rows: list[dict[str, Cell]] = Field(description="as in the CSV")


class StageCost(Record):
    """What all runs of a stage used, and an estimate of what that costs."""

    stage: str = Field(description="as its log")
    runs: Count = Field(description="those that were interrupted, too")
    seconds: float = Field(description="of all runs")
    estimate: bool = Field(description="energy, carbon and price are")
    gpu_hours: float = Field(description="used")
    cpu_hours: float = Field(description="of processor cores")
    energy_kwh: float = Field(description="estimated")
    price_usd: float = Field(description="estimated")
    carbon_kg: float = Field(description="estimated, CO2 equivalents")
    how: str = Field(description="what the energy was estimated from")


class CostFile(Made):
    """What searches cost."""

    rows: list[dict[str, Cell]] = Field(description="as in the CSV")
    stages: list[StageCost] = Field(description="each stage")
    carbon_kg_per_kwh: float = Field(description="of the electricity")
