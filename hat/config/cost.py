"""Models of what computing costs, electricity and cloud prices, and of where results are kept."""

from typing import Annotated

from pydantic import Field

from hat.config.base import Section

Price = Annotated[float, Field(ge=0)]


class Prices(Section):
    """What a cloud charges. Examples to be replaced by those of your cloud."""

    dated: str = Field("2026-11-22, examples", description="When and where these prices were read")
    gpu_hour_usd: Price = Field(2.5, description="An hour of one GPU, its share of the machine included")
    core_hour_usd: Price = Field(0.04, description="An hour of one CPU core, for work without GPUs")
    storage_gb_month_usd: Price = Field(0.02, description="A gigabyte stored for a month")


class Cost(Section):
    """What `hat cost` and `hat plan` estimate with; nothing of it changes a result."""

    country: str = Field(
        "USA", pattern=r"^[A-Z]{3}$", description="Where the machines stand, ISO 3166 alpha-3, for carbon estimates"
    )
    region: str | None = Field(None, description="State of the USA or province of Canada, such as california")
    processor_watts: float | None = Field(
        None, gt=0, description="Power of a machine's processors under full load; looked up by their name where absent"
    )
    gpu_watts: float = Field(
        300, gt=0, description="Power of a GPU under load, where its driver does not count energy, and for plans"
    )
    gpu_tflops: float = Field(
        20,
        gt=0,
        description="Operations a second that training reaches on a GPU, in 10^12, for plans of what was never run",
    )
    prices: Prices = Field(default_factory=Prices, description="Cloud prices")


class Storage(Section):
    """A remote place, reached by one of Snakemake's storage plugins (docs/how-to/cluster.md)."""

    provider: str = Field("fs", pattern=r"^[a-z0-9-]+$", description="Plugin: fs, s3, gcs, ...")
    prefix: str = Field("", description="What the names of copies begin with, such as s3://bucket/hat; empty for none")
