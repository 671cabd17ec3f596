"""Base of all configuration models, and marks that say which stages a change of a field re-runs."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """Base of all models: unknown keys are errors, values are frozen.

    A change of a field re-runs each stage that reads its section, unless the field has a mark such as
    ``Annotated[int, NO_EFFECT]``; see :class:`Effect`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Effect(Enum):
    """Effect of changing a marked field: which stages run again."""

    # Changes speed or wording but no result: no stage runs again.
    NONE = "changes no result"
    # Only the stages that name the field itself run again.
    NAMED = "changes what names it"
    # It stands for other values: the stages that read those run again.
    RESOLVED = "changes what it stands for"


NO_EFFECT: Final = Effect.NONE


def effect_of(field: FieldInfo) -> Effect | None:
    """Return the mark of a field; None if it has none."""
    return next((mark for mark in field.metadata if isinstance(mark, Effect)), None)


def effective(section: Section) -> dict[str, Any]:
    """Return the JSON-like form of a section, without marked fields at any depth."""
    # The copies that hat/config/variants.py makes may hold a precision that a file must not.
    kept: dict[str, Any] = effective_part(section, section.model_dump(mode="json", warnings=False))
    return kept


def effective_part(value: Any, plain: Any) -> Any:
    """Return the JSON-like form of a value that may hold sections, without their marked fields.

    Args:
        value: a section, a value of a section, or a tuple or mapping of them.
        plain: the JSON-like form of ``value`` with all fields.
    """
    if isinstance(value, BaseModel):
        marks = {name: effect_of(field) for name, field in type(value).model_fields.items()}
        return {name: effective_part(getattr(value, name), plain[name]) for name in plain if marks[name] is None}
    if isinstance(value, Mapping):
        return {key: effective_part(entry, plain[key]) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [effective_part(*pair) for pair in zip(value, plain, strict=True)]
    return plain
