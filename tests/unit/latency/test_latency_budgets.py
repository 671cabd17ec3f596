"""Budgets read off the predicted range."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hat.config.settings import BUDGET, budget_ms
from hat.errors import HatError
from hat.latency.budgets import spread_budgets


@given(st.floats(0.05, 1e5), st.floats(1.1, 50), st.integers(2, 9), st.floats(0, 60))
@settings(max_examples=300)
def test_budgets_can_be_met_and_differ(fastest: float, ratio: float, count: int, mape: float) -> None:
    budgets = spread_budgets(fastest, fastest * ratio, count, mape)
    assert all(BUDGET.match(budget) for budget in budgets)
    values = [budget_ms(budget) for budget in budgets]
    assert values == sorted(set(values))
    assert len(values) == count
    assert values[0] > fastest
    assert values[-1] < fastest * ratio * 1.05


def test_names() -> None:
    assert spread_budgets(20.0, 120.0, 3, 2.0) == ["35ms", "72ms", "110ms"]
    assert spread_budgets(700.0, 9000.0, 2, 2.0) == ["2000ms", "8200ms"]
    assert spread_budgets(0.9, 2.1, 2, 1.0) == ["1.1ms", "2ms"]


def test_inexact_predictor_keeps_away_from_the_fastest() -> None:
    assert budget_ms(spread_budgets(100.0, 200.0, 2, 1.0)[0]) == 120
    assert budget_ms(spread_budgets(100.0, 200.0, 2, 10.0)[0]) == 130
    assert budget_ms(spread_budgets(100.0, 200.0, 2, 50.0)[0]) == 140


def test_space_without_a_range() -> None:
    with pytest.raises(HatError, match="too close together for 3 different budgets"):
        spread_budgets(50.0, 50.0, 3, 1.0)
