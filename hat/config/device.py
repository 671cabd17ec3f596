"""The model of config/devices/NAME.yaml."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.base import NO_EFFECT, Effect, Positive, Section
from hat.config.runtimes import DEVICE_PRECISIONS, GPU_NAME, ON_GPU, RUNTIMES

Seconds = Annotated[float, Field(gt=0)]
if TYPE_CHECKING:
    RuntimeName = str
    DevicePrecision = str
else:
    # Type checkers know no Literal that is made of a table.
    RuntimeName = Literal[tuple(RUNTIMES)]
    DevicePrecision = Literal[DEVICE_PRECISIONS]


class RaplMeter(Section):
    """Counters of processors that Linux reads by itself (powercap)."""

    kind: Literal["rapl"] = "rapl"
    zones: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Folders with `energy_uj`, such as /sys/class/powercap/intel-rapl:0; those of all processors where"
        " absent",
    )
    seconds: Seconds = Field(1.0, description="Energy is measured for at least so long, at each visit and length")


class CommandMeter(Section):
    """A command that reads a meter, run on the device."""

    kind: Literal["command"] = "command"
    command: tuple[str, ...] = Field(
        min_length=1, description="Program and arguments; the last line that it prints begins with the number"
    )
    unit: Literal["watts", "joules"] = Field(
        "watts", description="What it prints: the power of the moment, or a counter of energy"
    )
    seconds: Seconds = Field(1.0, description="Energy is measured for at least so long, at each visit and length")


class Device(Section):
    """Something that latency is measured on."""

    description: Annotated[str, NO_EFFECT] = Field("", description="One line for people")
    note: Annotated[str, NO_EFFECT] = Field(
        "", description="Whatever else people should know: cooling, power supply, where it stands"
    )
    connection: Literal["local", "ssh"] = Field(description="How it is reached")
    host: Annotated[str | None, NO_EFFECT] = Field(
        None,
        pattern=r"^[A-Za-z0-9_.@:\[\]][A-Za-z0-9_.@:%\[\]-]*$",
        description="Host alias of the OpenSSH configuration, for ssh; keys, ports and jump hosts belong there",
    )
    ssh_config: Annotated[str | None, NO_EFFECT] = Field(
        None, description="OpenSSH configuration to use instead of the user's own"
    )
    python: Annotated[str, NO_EFFECT] = Field(
        "python3", description="Python on the device that `hat device setup` makes an environment of"
    )
    latency: str | None = Field(
        None,
        description="File of latencies measured elsewhere (our dataset as Parquet or CSV, or the CSV of the research"
        " code), for a device that cannot be reached",
    )
    runtime: RuntimeName = Field("torch", description="What executes the model")
    precision: DevicePrecision = Field("fp32", description="Precision of the deployed model")
    accelerator: str | None = Field(
        None,
        pattern=f"^{GPU_NAME}$",
        description=f"GPU that {' or '.join(ON_GPU)} executes on, `cuda` or `cuda:1`; the processor where absent",
    )
    threads: Annotated[Positive, Effect.NAMED] = Field(1, description="CPU threads of a translation")
    cores: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None, min_length=1, description="Cores, by number, that measuring is pinned to; all where absent"
    )
    power: Annotated[Annotated[RaplMeter | CommandMeter, Field(discriminator="kind")] | None, Effect.NAMED] = Field(
        None, description="Power meter that the energy of sentences is read from, beside their latency"
    )
    beam: Positive = Field(5, description="Beam size that is deployed and measured")
    shortlist: bool = Field(True, description="Deploy and measure with the task's shortlist, where it has one")
    alive_s: Annotated[Seconds, NO_EFFECT] = Field(
        30.0, description="Seconds of silence after which the link counts as cut"
    )
    patience_s: Annotated[Seconds, NO_EFFECT] = Field(
        300.0, description="Seconds without progress after which the device counts as hanging"
    )
    retry_s: Annotated[Seconds, NO_EFFECT] = Field(
        600.0, description="Seconds in which a lost device is tried again, ever more seldom"
    )
    wait_s: Annotated[float, NO_EFFECT] = Field(
        3600.0, ge=0, description="Seconds to wait while somebody else measures on the device"
    )

    @model_validator(mode="after")
    def _reached(self) -> Self:
        if self.connection == "local":
            for key in ("host", "ssh_config", "latency"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is given, but connection is 'local'")
        if self.host is not None and self.latency is not None:
            raise ValueError("host and latency are given, expected one of them: a device to measure on, or a file")
        return self

    @model_validator(mode="after")
    def _precision(self) -> Self:
        allowed = [one for one in RUNTIMES[self.runtime].precisions if one in DEVICE_PRECISIONS]
        if self.precision not in allowed:
            raise ValueError(f"precision is {self.precision!r}, but runtime {self.runtime!r} has {', '.join(allowed)}")
        return self

    @model_validator(mode="after")
    def _accelerator(self) -> Self:
        if self.accelerator is not None and not RUNTIMES[self.runtime].gpu:
            raise ValueError(
                f"accelerator is {self.accelerator!r}, but runtime {self.runtime!r} executes on the processor, expected"
                f" {' or '.join(ON_GPU)}"
            )
        return self

    @model_validator(mode="after")
    def _cores(self) -> Self:
        if self.cores is not None and (len(self.cores) < self.threads or len(set(self.cores)) < len(self.cores)):
            raise ValueError(
                f"cores is {list(self.cores)}, expected at least as many different ones as threads ({self.threads})"
            )
        return self
