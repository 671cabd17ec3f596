"""What a search minimises, and the keys that its artifacts hold values of it under.

The objective ``loss`` is the validation loss in nats a target token. ``bleu`` is 100 - BLEU of translations of the same
sentences. Both are of weights inherited from the SuperTransformer, and lower is better.
"""

from collections.abc import Container
from typing import Any

from hat.config.search import ObjectiveName

LABELS: dict[ObjectiveName, str] = {"loss": "loss", "bleu": "100 - BLEU"}
# Where a value is not a loss, the name of the objective stands beside it.
LOSS_KEY, VALUE_KEY, NAME_KEY = "validation_loss", "objective_value", "objective"


def named_value(objective: ObjectiveName, value: float) -> dict[str, Any]:
    """Keys and values that say an objective value in an artifact."""
    return {LOSS_KEY: value} if objective == "loss" else {NAME_KEY: objective, VALUE_KEY: value}


def value_key(names: Container[str]) -> str:
    """Which of the names of a record or table is that of its objective values."""
    return VALUE_KEY if VALUE_KEY in names else LOSS_KEY
