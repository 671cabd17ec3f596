"""Estimates of energy, carbon and price; the tables are codecarbon's, which asks no network here."""

import csv
import json
import socket

import pandas as pd
import pytest

from hat.artifacts.layout import Results
from hat.config.cost import Cost
from hat.config.settings import Settings
from hat.errors import InputError
from hat.report.cost import EVOLVED_LBS, HAT_TIMES_LESS, KG_PER_LB, write_cost
from hat.report.energy import _table_name, carbon_kg_per_kwh, energy
from hat.schemas.catalogue import artifact

pytest.importorskip("codecarbon", reason="needs the package codecarbon; it is in the extra cost")
MACHINE = {"processor": "Intel(R) Xeon(R) CPU E5-2640 v4 @ 2.40GHz", "cores": 20}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refused(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)


def used(**values):
    row = {"run": "1 x", "finished": True, "seconds": 3600.0, "cpu_seconds": 0.0, "gpus": 0, "gpu_joules": None}
    return row | {"machine": MACHINE} | values


def test_a_processor_takes_its_share_of_the_design_power():
    assert energy(used(cpu_seconds=36_000.0), Cost())[0] == pytest.approx(0.045)
    assert energy(used(cpu_seconds=72_000.0), Cost())[0] == pytest.approx(0.09)
    # A tenth at least.
    assert energy(used(), Cost())[0] == pytest.approx(0.009)
    assert energy(used(cpu_seconds=72_000.0), Cost(processor_watts=200))[0] == pytest.approx(0.2)


def test_a_processor_that_is_not_known_is_said_to_be_estimated_otherwise():
    unknown = used(cpu_seconds=7200.0, machine={"processor": "no such thing", "cores": 2})
    assert energy(unknown, Cost()) == (pytest.approx(0.008), "4 W a thread")


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763"),
        ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "Intel Core i7-8650U"),
        ("intel xeon e5-2640 v4", "Intel Xeon E5-2640 v4"),
        # Both generations are in the name.
        ("Intel Xeon E5-2640 v3 v4", None),
        ("Cortex-A72", None),
        ("", None),
    ],
)
def test_a_processor_is_found_by_the_name_that_the_system_gives(processor, name):
    names = ["Intel Xeon E5-2640 v3", "Intel Xeon E5-2640 v4", "Intel Core i7-8650U", "AMD EPYC 7763", "AMD EPYC 7763P"]
    assert _table_name(processor, names) == name


def test_gpus_take_what_they_counted_and_else_what_is_configured():
    kwh, how = energy(used(gpus=2, gpu_joules=3.6e6), Cost(processor_watts=100))
    assert kwh == pytest.approx(1.01)
    assert how == "cost.processor_watts, GPUs as counted by their driver"
    assert energy(used(gpus=2), Cost(processor_watts=100, gpu_watts=250))[0] == pytest.approx(0.51)


def test_carbon_of_places():
    assert 0.3 < carbon_kg_per_kwh("USA", None) < 0.5
    assert carbon_kg_per_kwh("USA", "california") < carbon_kg_per_kwh("USA", None)
    assert carbon_kg_per_kwh("FRA", None) < 0.1
    with pytest.raises(InputError, match=r"cost\.country: 'XXX' is unknown"):
        carbon_kg_per_kwh("XXX", None)
    with pytest.raises(InputError, match=r"cost\.region: 'narnia' is unknown in USA"):
        carbon_kg_per_kwh("USA", "narnia")


@pytest.fixture
def results(tmp_path):
    made = Results(tmp_path)
    stages = {
        "demo/data/extract": used(cpu_seconds=3600.0),
        "demo/supertransformer": used(cpu_seconds=7200.0, gpus=2, gpu_joules=7.2e6),
        "demo/local/sample-0": used(cpu_seconds=3600.0),
        "demo/local/60ms/search": used(cpu_seconds=3600.0),
        "demo/local/60ms/subtransformer": used(cpu_seconds=1800.0, seconds=1800.0, gpus=1, gpu_joules=3.6e6),
        "demo/local/60ms/score": used(cpu_seconds=99.0),
    }
    for stage, row in stages.items():
        (folder := made.usage / stage).mkdir(parents=True)
        (folder / "host.jsonl").write_text(json.dumps(row) + "\n")
    # Noted twice by the same run, and by a second machine.
    with open(made.usage / "demo/supertransformer/host.jsonl", "a") as stream:
        stream.write(json.dumps(used(cpu_seconds=14_400.0, gpus=2, gpu_joules=14.4e6)) + "\n")
    (made.usage / "demo/supertransformer/other.jsonl").write_text(json.dumps(used(gpus=2, gpu_joules=0.0)) + "\n")
    for budget in ("60ms", "90ms"):
        folder = made.budget("demo", "local", budget)
        folder.mkdir(parents=True)
        pd.DataFrame({"digest": ["a", "b", budget]}).to_parquet(folder / "search.parquet")
    return made


def test_search_beside_a_training_for_each_candidate_and_the_published(results):
    cost = {"processor_watts": 100, "country": "FRA", "prices": {"gpu_hour_usd": 3}}
    content = write_cost(Settings({"cost": cost}), results)
    assert artifact("cost").problems(results.tables / "cost.json") == []
    ours, each, evolved, hat = content["rows"]
    # The last row of a run holds; data, training and scoring of a found network are no part of its search.
    assert ours["cpu_hours"] == pytest.approx(4 + 1 + 1)
    assert ours["gpu_hours"] == pytest.approx(4)
    watts_hours = 100 * (4 / 20 + 0.1 + 3 * 0.1 - 0.1) + 4000
    assert ours["energy_kwh"] == pytest.approx(watts_hours / 1000, rel=1e-6)
    assert ours["carbon_kg"] == pytest.approx(ours["energy_kwh"] * content["carbon_kg_per_kwh"])
    # Where there are GPUs their price is all; measuring and searching took a core hour each.
    assert ours["price_usd"] == pytest.approx(4 * 3 + 2 * 0.04)
    assert (each["kind"], each["gpu_hours"]) == ("extrapolated", pytest.approx(4 * 0.5))
    assert "4 candidates" in each["method"]
    assert (evolved["kind"], evolved["gpu_hours"]) == ("published", 8 * 274_120)
    assert evolved["carbon_kg"] == pytest.approx(EVOLVED_LBS * KG_PER_LB)
    # The paper's ratio is that of 626,155 pounds to 52.
    assert hat["carbon_kg"] / KG_PER_LB == pytest.approx(52, abs=0.01)
    assert round(EVOLVED_LBS / 52) == HAT_TIMES_LESS
    with open(results.tables / "cost.csv") as stream:
        assert [row["kind"] for row in csv.DictReader(stream)] == [
            "estimated",
            "extrapolated",
            "published",
            "published",
        ]
    assert "2005.14187" in (results.tables / "cost.md").read_text()
    (training,) = [row for row in content["stages"] if row["stage"] == "demo/supertransformer"]
    assert (training["runs"], training["estimate"]) == (2, True)


def test_nothing_noted(tmp_path):
    with pytest.raises(InputError, match="no stage has recorded its resource use yet"):
        write_cost(Settings(), Results(tmp_path))
