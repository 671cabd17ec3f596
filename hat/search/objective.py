"""Objectives of a search, and the keys of their values in artifacts.

The objective ``loss`` is the validation loss in nats a target token. ``bleu`` is 100 - BLEU of translations of the same
sentences. Both use weights inherited from the SuperTransformer; lower is better.
"""

from collections.abc import Container
from typing import Any

from hat.config.search import ObjectiveName

LABELS: dict[ObjectiveName, str] = {"loss": "loss", "bleu": "100 - BLEU"}
# A value other than a loss is stored under VALUE_KEY, with the objective's name under NAME_KEY.
LOSS_KEY, VALUE_KEY, NAME_KEY = "validation_loss", "objective_value", "objective"


def named_value(objective: ObjectiveName, value: float) -> dict[str, Any]:
    """Return the keys and values of an objective value in an artifact."""
    return {LOSS_KEY: value} if objective == "loss" else {NAME_KEY: objective, VALUE_KEY: value}


def value_key(names: Container[str]) -> str:
    """Return the key of the objective values of a record or table with these keys."""
    return VALUE_KEY if VALUE_KEY in names else LOSS_KEY
