"""Cost of searches, compared with a full training per candidate and with published costs: results/tables/cost.*."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from hat.artifacts.files import provenance, read_jsonl
from hat.artifacts.layout import Results
from hat.config.cost import Cost
from hat.config.settings import BUDGET, Settings
from hat.errors import InputError
from hat.report.document import NONE, Columns, cells, markdown, time, write_document
from hat.report.energy import carbon_kg_per_kwh, energy
from hat.report.rows import Row
from hat.system.console import print_table

KG_PER_LB = 0.45359237
# Strubell, Ganesh and McCallum, ACL 2019 (arXiv 1906.02243), Table 3, "NAS": 8 P100 for 274,120 hours, 626,155 lbs.
# Wang et al., ACL 2020 (arXiv 2005.14187), abstract: "12,041x less search cost" than that.
EVOLVED_GPUS, EVOLVED_HOURS, EVOLVED_LBS = 8, 274_120, 626_155
EVOLVED_USD = (942_973, 3_201_722)
HAT_TIMES_LESS = 12_041
PUBLISHED: tuple[Row, ...] = (
    {
        "method": "Evolved Transformer, architecture search",
        "kind": "published",
        "gpu_hours": float(EVOLVED_GPUS * EVOLVED_HOURS),
        "carbon_kg": EVOLVED_LBS * KG_PER_LB,
        "price_usd": float(EVOLVED_USD[0]),
        "source": f"arXiv 1906.02243, table 3: {EVOLVED_GPUS} P100, {EVOLVED_HOURS:,} h, {EVOLVED_LBS:,} lbs CO2e,"
        f" ${EVOLVED_USD[0]:,} to ${EVOLVED_USD[1]:,} (the lower price is shown)",
    },
    {
        "method": "HAT, search",
        "kind": "published",
        "carbon_kg": EVOLVED_LBS / HAT_TIMES_LESS * KG_PER_LB,
        "source": f"arXiv 2005.14187, abstract: {HAT_TIMES_LESS:,} times less than the above",
    },
)
LEGEND = (
    "Estimated: energy is the CPU time of all stages times the design power of the CPU, and what GPUs counted"
    " themselves; memory, network and cooling are not included. Carbon uses the yearly mean of the country or region,"
    " and prices come from config/config.yaml. Extrapolated: mean estimate of one SubTransformer's training, times"
    " the number of candidates of the search. Published: quoted, not measured here."
)
COLUMNS: Columns = {
    "task": lambda row: row["task"] or NONE,
    "device": lambda row: row["device"] or NONE,
    "method": lambda row: row["method"],
    "kind": lambda row: row["kind"],
    "GPU time": time("gpu_hours", seconds=3600),
    "CPU time": time("cpu_hours", seconds=3600),
    "kWh": lambda row: _shown(row["energy_kwh"]),
    "kg CO2e": lambda row: _shown(row["carbon_kg"]),
    "USD": lambda row: _shown(row["price_usd"]),
}
NAMES = ("task", "device", "method", "kind", "gpu_hours", "cpu_hours", "energy_kwh", "carbon_kg", "price_usd", "source")
OF_A_PREDICTOR = ("choose", "sample-", "collect", "fit", "budgets")


def _shown(value: float | None) -> str:
    return NONE if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


@dataclass(frozen=True)
class Amount:
    """Resources that stages used; can be added and multiplied."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    energy_kwh: float = 0.0
    price_usd: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> "Amount":
        """Multiply by a factor."""
        return Amount(*(factor * one for one in astuple(self)))


@dataclass(frozen=True)
class Stage:
    """All runs of a stage on all machines, interrupted ones included."""

    # Parts of the path of its log: task, device, budget, name; some stages have only a few of them.
    parts: tuple[str, ...]
    runs: int
    seconds: float
    amount: Amount
    how: str

    def of_a_search(self, task: str, device: str) -> bool:
        """Whether it is part of a search on a device: SuperTransformer, shortlist, measuring, predictor, search."""
        match self.parts:
            case (own, "supertransformer" | "shortlist"):
                return own == task
            case (own, place, name):
                return (own, place) == (task, device) and name.startswith(OF_A_PREDICTOR)
            case (own, place, _, "search"):
                return (own, place) == (task, device)
        return False


def stages(results: Results, cost: Cost) -> list[Stage]:
    """Sum up the runs of each stage from results/usage."""
    found = []
    for folder in sorted({path.parent for path in results.usage.rglob("*.jsonl")}):
        # A run writes several rows; the last one counts.
        runs = [
            row for path in sorted(folder.glob("*.jsonl")) for row in {r["run"]: r for r in read_jsonl(path)}.values()
        ]
        total, how = Amount(), ""
        for row in runs:
            kwh, how = energy(row, cost)
            gpu_hours, cpu_hours = row["gpus"] * row["seconds"] / 3600, row["cpu_seconds"] / 3600
            # The price of a GPU includes the cores of its machine.
            price = gpu_hours * cost.prices.gpu_hour_usd or cpu_hours * cost.prices.core_hour_usd
            total += Amount(gpu_hours, cpu_hours, kwh, price)
        seconds = sum(row["seconds"] for row in runs)
        found.append(Stage(folder.relative_to(results.usage).parts, len(runs), seconds, total, how))
    return found


def write_cost(settings: Settings, results: Results) -> dict[str, Any]:
    """Write results/tables/cost.{csv,md,json}: a row for each way to find the networks of a task on a device.

    Returns:
        The content of the JSON file: ``rows``, ``stages``, ``carbon_kg_per_kwh``, ``provenance``.

    Raises:
        HatError: codecarbon is not installed.
        InputError: no resource use was recorded, or the country is unknown.
    """
    cost = settings.configuration.cost
    noted = stages(results, cost)
    if not noted:
        raise InputError(f"{results.usage}: no stage has recorded its resource use yet; run stages with snakemake")
    intensity = carbon_kg_per_kwh(cost.country, cost.region)

    def priced(amount: Amount) -> Row:
        return {**vars(amount), "carbon_kg": amount.energy_kwh * intensity}

    rows = [
        row for task in settings.tasks for device in settings.devices for row in _rows(results, noted, task, device)
    ]
    complete = [
        {name: ({**row, **priced(row["amount"])} if "amount" in row else row).get(name) for name in NAMES}
        for row in (*rows, *PUBLISHED)
    ]
    content = {
        "rows": complete,
        "stages": [
            {"stage": "/".join(one.parts), "runs": one.runs, "seconds": round(one.seconds, 1), "estimate": True}
            | priced(one.amount)
            | {"how": one.how}
            for one in noted
        ],
        "carbon_kg_per_kwh": intensity,
        "provenance": provenance(seed=None, settings=cost.model_dump(mode="json")),
    }
    where = f"{cost.region}, {cost.country}" if cost.region else cost.country
    below = [LEGEND, "", f"{where}: {intensity:.3g} kg CO2e a kWh. Prices: {cost.prices.dated}.", ""]
    below += [f"- {row['method']}: {row['source']}" for row in PUBLISHED]
    write_document(results.tables / "cost", content, markdown("Cost of search", COLUMNS, complete, below))
    return content


def _rows(results: Results, noted: Sequence[Stage], task: str, device: str) -> Iterator[Row]:
    searches = [
        path for path in (results.root / task / device).glob("*/search.parquet") if BUDGET.match(path.parent.name)
    ]
    trainings = [
        one.amount for one in noted if one.parts[:2] == (task, device) and one.parts[3:] == ("subtransformer",)
    ]
    if not searches:
        return
    place = {"task": task, "device": device}
    spent = sum((one.amount for one in noted if one.of_a_search(task, device)), Amount())
    budgets = f"{len(searches)} budget{'s' if len(searches) > 1 else ''}"
    method = f"HAT: SuperTransformer, predictor, search for {budgets}"
    yield place | {"method": method, "kind": "estimated", "amount": spent, "source": "results/usage"}
    if trainings:
        candidates = _candidates(searches)
        one = sum(trainings, Amount()).times(1 / len(trainings))
        method = f"one full training for each of {candidates} candidates"
        source = f"mean of {len(trainings)} SubTransformers as trained here"
        yield place | {"method": method, "kind": "extrapolated", "amount": one.times(candidates), "source": source}


def _candidates(searches: Sequence[Path]) -> int:
    """Count the different Architectures that searches evaluated."""
    import pandas as pd

    return int(pd.concat(pd.read_parquet(path, columns=["digest"]) for path in searches)["digest"].nunique())


def print_cost(content: dict[str, Any]) -> None:
    """Print the table."""
    print_table("Cost of search", list(COLUMNS), cells(COLUMNS, content["rows"]))
    print(LEGEND)
