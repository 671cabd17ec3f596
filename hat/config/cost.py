"""Models of the costs of computing, and of remote storage for results."""

from typing import Annotated

from pydantic import Field

from hat.config.base import Section

Price = Annotated[float, Field(ge=0)]


class Prices(Section):
    """Cloud prices. The defaults are examples; enter your cloud's prices."""

    dated: str = Field("2026-11-22, examples", description="Date and source of these prices")
    gpu_hour_usd: Price = Field(2.5, description="One GPU for an hour, including its share of the machine")
    core_hour_usd: Price = Field(0.04, description="One CPU core for an hour, for work without GPUs")
    storage_gb_month_usd: Price = Field(0.02, description="A gigabyte stored for a month")


class Cost(Section):
    """Assumptions of `hat cost` and `hat plan`; they change no result."""

    country: str = Field(
        "USA", pattern=r"^[A-Z]{3}$", description="Country of the machines, ISO 3166 alpha-3, for carbon estimates"
    )
    region: str | None = Field(None, description="State of the USA or province of Canada, such as california")
    processor_watts: float | None = Field(
        None, gt=0, description="Power of a machine's CPUs under full load. Default: looked up by their model"
    )
    gpu_watts: float = Field(
        300, gt=0, description="Power of a GPU under load, for plans and for GPUs whose driver does not count energy"
    )
    gpu: str = Field(
        "config/gpus/h100.json",
        description="Speed of training on a GPU, for plans without measured jobs: result file of"
        " tests/benchmarks/gpu.py",
    )
    download_mbit_s: float = Field(
        100, gt=0, description="Speed of downloads in megabits per second, for plans without measured jobs"
    )
    prices: Prices = Field(default_factory=Prices, description="Cloud prices")


class Storage(Section):
    """Remote storage, reached through one of Snakemake's storage plugins (docs/how-to/cluster.md)."""

    provider: str = Field("fs", pattern=r"^[a-z0-9-]+$", description="Plugin: fs, s3, gcs, ...")
    prefix: str = Field("", description="Prefix of the copies, such as s3://bucket/hat; empty for no copies")
