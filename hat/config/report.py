"""Models of what figures, tables and the report cover."""

from pydantic import Field

from hat.config.base import Section

DEVICES = {
    "rpi4": "raspberrypi",
    "rpi4-published": "raspberrypi",
    "xeon": "xeon",
    "xeon-published": "xeon",
    "titanxp": "titanxp",
    "titanxp-published": "titanxp",
}


class ReportSettings(Section):
    """What `snakemake figures` and the report cover, and figures of others that they are set beside."""

    tasks: tuple[str, ...] = Field((), description="Tasks covered; all that have artifacts where empty")
    devices: tuple[str, ...] = Field((), description="Devices covered; all that have artifacts where empty")
    budgets: tuple[str, ...] = Field((), description="Budgets and baselines covered; all that were made where empty")
    published_models: str | None = Field(
        None, description="CSV of published networks with their latency and BLEU, drawn beside ours"
    )
    published_latencies: tuple[str, ...] = Field(
        (), description="CSVs of published latencies, one a device; `*` stands for any part of a name"
    )
    published_devices: dict[str, str] = Field(
        DEVICES, description="Our devices, and what they are called in `published_models`"
    )
