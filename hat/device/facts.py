"""Facts that a device reports about itself, validated: types, ranges, and texts that are safe to print."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hat.device.ssh import printable
from hat.errors import HatError

Text = Annotated[str, Field(max_length=1000), AfterValidator(printable)]
Count = Annotated[int, Field(ge=1, le=1 << 20)]


class _Reported(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Reported = TypeVar("Reported", bound=BaseModel)


class Fingerprint(_Reported):
    """See :func:`hat.measure.fingerprint.fingerprint`."""

    host: Text
    architecture: Text
    processor: Text
    cores: Count | None
    memory_mb: Annotated[int, Field(ge=1, le=1 << 40)] | None
    kernel: Text
    governor: Text | None
    versions: Annotated[dict[Text, Text], Field(max_length=20)]


class State(_Reported):
    """See :func:`hat.measure.fingerprint.machine_state`."""

    clock_mhz: Annotated[int, Field(ge=0, le=1_000_000)] | None
    temperature_c: Annotated[float, Field(ge=-273.15, le=1000)] | None
    throttling: Text | None
    load_average: Annotated[float, Field(ge=0, le=1e6)]
    time_s: Annotated[float, Field(ge=0, le=1e12)]
    usable_cores: Annotated[list[Annotated[int, Field(ge=0, le=1 << 20)]], Field(max_length=4096)]


class Facts(_Reported):
    """See :meth:`hat.measure.bench.Bench.machine_facts`."""

    runtime_version: Text
    machine: Text
    fingerprint: Fingerprint


class Hello(_Reported):
    """The agent's answer to ``hello``, the first request."""

    protocol: int
    source: Text
    fingerprint: Fingerprint
    state: State


def checked_answer(model: type[Reported], answer: Any, where: str) -> Reported:
    """Validate a device's answer.

    Raises:
        HatError: the answer does not fit the model; ``where`` starts the message.
    """
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise HatError(f"{where}: it reported an impossible value ({printable(key)}: {first['msg']})") from None
