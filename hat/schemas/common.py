"""What several artifacts hold.

Where the code has a type of its own for a part (an Architecture, a Workload, the settings of training), that type is
the schema of the part; everything else is a :class:`Record`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hat.device.connection import Conditions
from hat.space.architecture import Architecture
from hat.space.evolved import EvolvedArchitecture


class Record(BaseModel):
    """Base of all records: unknown keys and values of another type are errors, and no number is infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=(), allow_inf_nan=False)


Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Kind = Literal["transformer", "evolved"]
AnyNetwork = Architecture | EvolvedArchitecture
DIGEST = "name of the Architecture"
ARCHITECTURE = "dimensions; lists have one entry a layer, the first next to the embedding"


class Machine(Record):
    """A machine that a stage ran on."""

    host: str = Field(description="name of the machine")
    architecture: str = Field(description="such as x86_64 or aarch64")
    processor: str = Field(description="as the kernel calls it")
    cores: int | None = Field(description="of the machine")
    python: str = Field(description="version of Python")


class Provenance(Record):
    """How an artifact was made."""

    seed: int | None = Field(description="what random draws started from; null where nothing is random")
    configuration: Key = Field(description="digest of the settings that the stage resolved")
    hat_version: str = Field(description="version of hat")
    machine: Machine = Field(description="where")
    created: Time = Field(description="when, UTC")


class Made(Record):
    """Base of artifacts that say how they were made."""

    provenance: Provenance = Field(description="how it was made")


class Fingerprint(Record):
    """What a device is; null where its system does not tell."""

    host: str = Field(description="its name")
    architecture: str = Field(description="such as x86_64 or aarch64")
    processor: str = Field(description="as its kernel calls it")
    cores: int | None = Field(description="of the device")
    memory_mb: int | None = Field(description="memory")
    kernel: str = Field(description="release of the kernel")
    governor: str | None = Field(description="what chooses the clock")
    versions: dict[str, str] = Field(description="of Python and the packages that matter")


class Timings(Record):
    """A network, measured sentence by sentence."""

    timings_ms: list[Positive] = Field(description="wall-clock time of each sentence")
    processor_ms: list[float] = Field(description="processor time of each sentence, of all threads")
    waited_ms: list[float] = Field(
        description="what each sentence waited for a core that others had, which is no part of the latency"
    )
    visits: list[Count] = Field(description="sentences of each visit to the network")
    interference: list[float | None] = Field(description="cores that other processes kept busy at each visit")
    pooled_noise: float | None = Field(
        description="variance of the logarithm of what a visit measures, as found on all networks measured together"
    )
    shares: list[Share] | None = Field(
        None,
        description="where sentences of several lengths take turns: which part of all each length stands for;"
        " statistics are made for each length and averaged",
    )
    energies_j: list[float | None] | None = Field(
        None, description="energy of a sentence at each visit, the mean over lengths; null where it could not be read"
    )
    meter: str | None = Field(None, description="what the energy was read from; absent where there is no power meter")
    energy_j: float | None = Field(None, description="mean energy of a sentence")
    load_average: float = Field(description="of the device, in the last minute")
    measured_at: Time = Field(description="when, UTC")
    latency_ms: Positive = Field(description="the median, without what was waited")
    latency_low_ms: Positive = Field(description="lower end of the interval of the median")
    latency_high_ms: Positive = Field(description="upper end of the interval of the median")
    confidence: Share = Field(description="confidence of that interval")
    spread_ms: float = Field(description="interquartile range")
    wall_clock_median_ms: Positive = Field(description="the median with what was waited")
    processor_median_ms: float = Field(description="median processor time of a sentence")


class Measured(Timings):
    """A measured Architecture."""

    digest: Key = Field(description=DIGEST)
    architecture: Architecture = Field(description=ARCHITECTURE)
    conditions: Key = Field(description="digest of the conditions that it was measured under")


class Header(Record):
    """Base of the first row of JSON-lines artifacts."""

    kind: Literal["header"] = Field(description="the first row")
    provenance: Provenance = Field(description="how the file was made")


class UnderConditions(Header):
    """First row of measurements."""

    conditions: Conditions = Field(description="all that a latency depends on beside the Architecture")
    fingerprint: Fingerprint | None = Field(description="the device")
