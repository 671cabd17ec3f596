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
    # Type checkers accept no Literal that is made from a table.
    RuntimeName = Literal[tuple(RUNTIMES)]
    DevicePrecision = Literal[DEVICE_PRECISIONS]


class RaplMeter(Section):
    """Energy counters of the CPU, read by Linux (powercap)."""

    kind: Literal["rapl"] = "rapl"
    zones: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Folders with `energy_uj`, such as /sys/class/powercap/intel-rapl:0. Default: all CPUs",
    )
    seconds: Seconds = Field(1.0, description="Shortest time to measure energy over, at each visit and length")


class CommandMeter(Section):
    """A command that reads a meter, run on the device."""

    kind: Literal["command"] = "command"
    command: tuple[str, ...] = Field(
        min_length=1, description="Program and arguments; its last line of output begins with the number"
    )
    unit: Literal["watts", "joules"] = Field(
        "watts", description="Meaning of the number it prints: momentary power, or an energy counter"
    )
    seconds: Seconds = Field(1.0, description="Shortest time to measure energy over, at each visit and length")


class Device(Section):
    """A device to measure latency on."""

    description: Annotated[str, NO_EFFECT] = Field("", description="One-line description")
    note: Annotated[str, NO_EFFECT] = Field("", description="Notes for readers: cooling, power supply, where it stands")
    connection: Literal["local", "ssh"] = Field(description="How this machine reaches the device")
    host: Annotated[str | None, NO_EFFECT] = Field(
        None,
        pattern=r"^[A-Za-z0-9_.@:\[\]][A-Za-z0-9_.@:%\[\]-]*$",
        description="Host alias in your OpenSSH configuration, which also has keys, ports and jump hosts; for `ssh`",
    )
    ssh_config: Annotated[str | None, NO_EFFECT] = Field(
        None, description="OpenSSH configuration file. Default: the user's own"
    )
    python: Annotated[str, NO_EFFECT] = Field(
        "python3", description="Python on the device from which `hat device setup` makes an environment"
    )
    latency: str | None = Field(
        None,
        description="File of latencies measured elsewhere, for a device that cannot be reached: our dataset as"
        " Parquet or CSV, or the research code's CSV",
    )
    runtime: RuntimeName = Field("torch", description="Runtime that executes the model")
    precision: DevicePrecision = Field("fp32", description="Precision of the deployed model")
    accelerator: str | None = Field(
        None,
        pattern=f"^{GPU_NAME}$",
        description=f"GPU that {' or '.join(ON_GPU)} executes on, `cuda` or `cuda:1`. Default: the CPU",
    )
    threads: Annotated[Positive, Effect.NAMED] = Field(1, description="CPU threads of a translation")
    cores: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None, min_length=1, description="CPU cores, by number, to pin measuring to. Default: all"
    )
    power: Annotated[Annotated[RaplMeter | CommandMeter, Field(discriminator="kind")] | None, Effect.NAMED] = Field(
        None, description="Power meter, to measure energy besides latency"
    )
    beam: Positive = Field(5, description="Beam size to deploy and measure with")
    shortlist: bool = Field(True, description="Deploy and measure with the task's lexical shortlist, if it has one")
    alive_s: Annotated[Seconds, NO_EFFECT] = Field(30.0, description="Seconds of silence before the link counts as cut")
    patience_s: Annotated[Seconds, NO_EFFECT] = Field(
        300.0, description="Seconds without progress before the device counts as hanging"
    )
    retry_s: Annotated[Seconds, NO_EFFECT] = Field(
        600.0, description="Seconds to keep trying a lost device, at growing intervals"
    )
    wait_s: Annotated[float, NO_EFFECT] = Field(
        3600.0, ge=0, description="Seconds to wait while another process measures on the device"
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
                f"accelerator is {self.accelerator!r}, but runtime {self.runtime!r} executes on the CPU, expected"
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
