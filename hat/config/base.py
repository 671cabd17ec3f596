"""What all models of config/ have in common."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """Base of all models: unknown keys are errors, values are frozen.

    A field says itself what a change of it does. Without a mark it re-runs each stage that reads its section; with one,
    such as ``Annotated[int, NO_EFFECT]``, what the :class:`Effect` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Effect(Enum):
    """What a change of a field does, where it does not re-run all stages that read its section."""

    # How fast a result is had, or how it is described, and not the result: no stage is run again.
    NONE = "changes no result"
    # Only the stages that name the field itself are run again.
    NAMED = "changes what names it"
    # It stands for other values: the stages that read those are run again.
    RESOLVED = "changes what it stands for"


NO_EFFECT: Final = Effect.NONE


def effect_of(field: FieldInfo) -> Effect | None:
    """The mark of a field; None where it takes effect with its section."""
    return next((mark for mark in field.metadata if isinstance(mark, Effect)), None)


def effective(section: Section) -> dict[str, Any]:
    """JSON-like form of a section; at any depth without the fields that have a mark."""
    # Copies of other precisions (hat/config/variants.py) hold a value that no file may have.
    kept: dict[str, Any] = effective_part(section, section.model_dump(mode="json", warnings=False))
    return kept


def effective_part(value: Any, plain: Any) -> Any:
    """As :func:`effective`, of a value that may hold sections.

    Args:
        value: a section, a value of one, or several in a tuple or mapping.
        plain: its JSON-like form with all fields.
    """
    if isinstance(value, BaseModel):
        marks = {name: effect_of(field) for name, field in type(value).model_fields.items()}
        return {name: effective_part(getattr(value, name), plain[name]) for name in plain if marks[name] is None}
    if isinstance(value, Mapping):
        return {key: effective_part(entry, plain[key]) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [effective_part(*pair) for pair in zip(value, plain, strict=True)]
    return plain
