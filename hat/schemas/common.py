"""Parts that several artifacts share.

If the code has a type for a part (an Architecture, a Workload, the settings of training), that type is also the part's
schema. Everything else is a :class:`Record`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hat.device.connection import Conditions
from hat.space.architecture import Architecture
from hat.space.evolved import EvolvedArchitecture


class Record(BaseModel):
    """Base of all records: unknown keys, values of another type and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=(), allow_inf_nan=False)


Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Kind = Literal["transformer", "evolved"]
AnyNetwork = Architecture | EvolvedArchitecture
DIGEST = "digest that identifies the Architecture"
ARCHITECTURE = "dimensions; lists have one entry per layer, starting with the layer next to the embedding"


class Machine(Record):
    """A machine that a stage ran on."""

    host: str = Field(description="name of the machine")
    architecture: str = Field(description="instruction set, such as x86_64 or aarch64")
    processor: str = Field(description="name of the CPU, as the kernel reports it")
    cores: int | None = Field(description="number of CPU cores of the machine")
    python: str = Field(description="version of Python")


class Provenance(Record):
    """How an artifact was made."""

    seed: int | None = Field(description="seed of the stage's random draws; null if nothing is random")
    configuration: Key = Field(description="digest of the stage's resolved settings")
    hat_version: str = Field(description="version of hat")
    machine: Machine = Field(description="the machine it was made on")
    created: Time = Field(description="time of creation, UTC")


class WithProvenance(Record):
    """Base of artifacts with their provenance."""

    provenance: Provenance = Field(description="how, where and when the artifact was made")


class Fingerprint(Record):
    """The hardware and software of a device; null where its system does not report a value."""

    host: str = Field(description="name of the device")
    architecture: str = Field(description="instruction set, such as x86_64 or aarch64")
    processor: str = Field(description="name of the CPU, as the device's kernel reports it")
    cores: int | None = Field(description="number of CPU cores of the device")
    memory_mb: int | None = Field(description="memory of the device")
    kernel: str = Field(description="release of the kernel")
    governor: str | None = Field(description="the kernel's policy for the CPU clock")
    versions: dict[str, str] = Field(description="versions of Python and of the packages that affect latency")


class Timings(Record):
    """Measurements of a network, sentence by sentence."""

    timings_ms: list[Positive] = Field(description="wall-clock time of each sentence")
    processor_ms: list[float] = Field(description="CPU time of each sentence, over all threads")
    waited_ms: list[float] = Field(
        description="time that each sentence waited for a core that other processes used; not part of the latency"
    )
    visits: list[Count] = Field(description="number of sentences in each visit to the network")
    interference: list[float | None] = Field(
        description="number of cores that other processes kept busy during each visit"
    )
    pooled_noise: float | None = Field(
        description="variance of the logarithm of a visit's latency, estimated from all networks measured together"
    )
    shares: list[Share] | None = Field(
        None,
        description="for sentences of several lengths: the share of the workload that each length stands for;"
        " statistics are computed per length and averaged",
    )
    energies_j: list[float | None] | None = Field(
        None, description="energy per sentence in each visit, averaged over lengths; null if it could not be read"
    )
    meter: str | None = Field(
        None, description="the power meter the energy was read from; omitted without a power meter"
    )
    energy_j: float | None = Field(None, description="mean energy per sentence")
    load_average: float = Field(description="load average of the device over the last minute")
    measured_at: Time = Field(description="time of the measurement, UTC")
    latency_ms: Positive = Field(description="median latency, without the time waited for a core")
    latency_low_ms: Positive = Field(description="lower end of the median's confidence interval")
    latency_high_ms: Positive = Field(description="upper end of the median's confidence interval")
    confidence: Share = Field(description="confidence of that interval")
    spread_ms: float = Field(description="interquartile range of the latency")
    wall_clock_median_ms: Positive = Field(description="median wall-clock time, including the time waited for a core")
    processor_median_ms: float = Field(description="median CPU time of a sentence")


class Measured(Timings):
    """An Architecture with its measurements."""

    digest: Key = Field(description=DIGEST)
    architecture: Architecture = Field(description=ARCHITECTURE)
    conditions: Key = Field(description="digest of the conditions of the measurement")


class Header(Record):
    """Base of the first row of JSON-lines artifacts."""

    kind: Literal["header"] = Field(description="marks the first row")
    provenance: Provenance = Field(description="how, where and when the file was made")


class UnderConditions(Header):
    """First row of a file of measurements."""

    conditions: Conditions = Field(description="everything other than the Architecture that a latency depends on")
    fingerprint: Fingerprint | None = Field(description="the device's hardware and software")
