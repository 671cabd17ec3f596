"""Model of what figures, tables and the report cover."""

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
    """What `snakemake figures` and the report cover, and published figures to show beside ours."""

    tasks: tuple[str, ...] = Field((), description="Tasks to cover; empty for all with artifacts")
    devices: tuple[str, ...] = Field((), description="Devices to cover; empty for all with artifacts")
    budgets: tuple[str, ...] = Field((), description="Budgets and baselines to cover; empty for all with artifacts")
    published_models: str | None = Field(
        None, description="CSV of published networks with latency and BLEU, drawn beside ours"
    )
    published_latencies: tuple[str, ...] = Field(
        (), description="CSVs of published latencies, one per device; `*` matches any part of a name"
    )
    published_devices: dict[str, str] = Field(DEVICES, description="Our devices and their names in `published_models`")
