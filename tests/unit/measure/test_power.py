"""Power meters: what they count, what is made of it, and that one that cannot be read costs no latency."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy_device import SMALL, NumpyRuntime, workload, write_configuration, write_dictionaries, write_folder
from typer.testing import CliRunner

import hat.runtime
from hat.artifacts.files import read_json, read_jsonl, write_json
from hat.artifacts.layout import Results
from hat.cli.app import app
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings
from hat.device.connection import SshConnection
from hat.errors import HatError, InputError
from hat.latency import stages
from hat.latency.dataset import read_parquet
from hat.latency.deployed import measure_model
from hat.measure import power
from hat.measure.bench import Bench
from hat.measure.measurement import Measurement
from hat.measure.power import Unreadable, energy_j, idle_watts, meter_name, missing_energy
from hat.measure.workload import Workload
from hat.report.document import markdown
from hat.report.overall_tables import TABLES
from hat.report.rows import rows_of
from hat.schemas.catalogue import artifact_of
from hat.space.search_space import SearchSpace

RANGE_UJ = 262_143_328_850


class Zone:
    """A zone of Linux's powercap, in files of the same names; counts on by hand."""

    def __init__(self, folder: Path, name: str = "package-0", counted_uj: int = 5_000_000) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        self.counted_uj = counted_uj
        self.add(0)

    def add(self, joules: float) -> None:
        self.counted_uj = (self.counted_uj + round(1e6 * joules)) % RANGE_UJ
        (self.folder / "energy_uj").write_text(f"{self.counted_uj}\n")


def rapl(*zones: Zone, seconds: float = 1e-3) -> dict:
    return {"kind": "rapl", "zones": [str(zone.folder) for zone in zones] or None, "seconds": seconds}


def command(*words: str, unit: str = "watts", seconds: float = 0.2) -> dict:
    return {"kind": "command", "command": list(words), "unit": unit, "seconds": seconds}


def test_counters_of_all_zones_add_up_and_start_again(tmp_path: Path) -> None:
    one, other = Zone(tmp_path / "a"), Zone(tmp_path / "b")
    assert energy_j(rapl(one, other), lambda: (one.add(2), other.add(0.5))) == pytest.approx(2.5, abs=1e-9)
    # From just below its range to just above zero, in the one time that there is time for.
    ending = Zone(tmp_path / "c", counted_uj=RANGE_UJ - 3_000_000)
    assert energy_j(rapl(ending, seconds=1e-9), lambda: ending.add(7.25)) == pytest.approx(7.25, abs=1e-9)
    assert ending.counted_uj == 4_250_000


def test_a_counter_that_another_process_advances(tmp_path: Path) -> None:
    zone = Zone(tmp_path / "zone")
    script = (
        "import os, sys, time\n"
        "place, now = sys.argv[1], 10**6\n"
        "while True:\n"
        "    now += 1500\n"
        "    open(place + '.new', 'w').write(str(now) + '\\n')\n"
        "    os.replace(place + '.new', place)\n"
        "    time.sleep(0.001)\n"
    )
    file = zone.folder / "energy_uj"
    writer = subprocess.Popen([sys.executable, "-c", script, str(file)])
    try:
        while int(file.read_text()) >= 5_000_000:
            time.sleep(0.01)
        before, counts = int(file.read_text()), []
        found = energy_j(rapl(zone, seconds=0.3), lambda: (counts.append(1), time.sleep(0.01)))
        after = int(file.read_text())
    finally:
        writer.kill()
        writer.wait()
    assert 0 < round(1e6 * found * len(counts)) <= after - before


def test_processors_alone_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "POWERCAP", tmp_path)
    with pytest.raises(Unreadable, match=r"has no zone of a CPU package, expected intel-rapl:0, or `zones`"):
        energy_j(rapl(), lambda: None)
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "dtpm": "package-0",
    }
    made = [Zone(tmp_path / folder, name) for folder, name in zones.items()]
    assert energy_j(rapl(), lambda: [zone.add(1) for zone in made]) == pytest.approx(2, abs=1e-9)


def test_watts_are_read_meanwhile_and_joules_before_and_after(tmp_path: Path) -> None:
    inside: list[float] = []

    def work() -> None:
        began = time.perf_counter()
        time.sleep(0.01)
        inside.append(time.perf_counter() - began)

    began = time.perf_counter()
    found = energy_j(command("echo", "5 W"), work) * len(inside)
    # Whole sentences, and no more than these and the time to start and end.
    assert 5 * sum(inside) <= found <= 5 * (time.perf_counter() - began)
    place = tmp_path / "counter"
    place.write_text("a banner\n100.5 J\n")
    joules = command("cat", str(place), unit="joules")
    assert energy_j({**joules, "seconds": 1e-9}, lambda: place.write_text("103 J")) == 2.5
    # A meter that takes longer than it should is waited for.
    assert energy_j(command("sh", "-c", "sleep 0.3; echo 5", seconds=1e-9), lambda: time.sleep(0.01)) > 0
    assert idle_watts(command("echo", "4")) >= 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such-meter",), "no-such-meter: no such file or directory"),
        (("sh", "-c", "echo no device >&2; exit 3"), r"exit 3: failed with exit code 3 \(no device\)"),
        (("false",), r"false: failed with exit code 1 \(no message\)"),
        (("true",), "true: returned '', expected a number from 0"),
        (("echo", "[N/A]"), r"returned '\[N/A\]', expected a number"),
        (("echo", "-3"), "returned '-3'"),
        (("echo", "nan"), "returned 'nan'"),
        (("echo", "1e300"), "returned '1e300'"),
    ],
)
def test_a_command_that_does_not_tell(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        energy_j(command(*words, seconds=0.1), lambda: time.sleep(0.02))


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "energy_uj: No such file or directory"), ("many\n", "energy_uj: returned 'many'"), ("", "returned ''")],
)
def test_a_zone_that_does_not_tell(tmp_path: Path, text: str | None, said: str) -> None:
    zone = Zone(tmp_path / "zone")
    (zone.folder / "energy_uj").unlink()
    if text is not None:
        (zone.folder / "energy_uj").write_text(text)
    with pytest.raises(Unreadable, match=said):
        energy_j(rapl(zone), lambda: None)


def test_a_command_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "LIMIT_S", 0.2)
    with pytest.raises(Unreadable, match=r"^sleep 60: gave no answer within 0\.2 s$"):
        energy_j(command("sleep", "60", unit="joules"), lambda: None)


def test_a_zone_that_root_alone_may_read(tmp_path: Path) -> None:
    zone, root = Zone(tmp_path / "zone"), os.geteuid() == 0
    (zone.folder / "energy_uj").chmod(0)
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(Unreadable, match=r"energy_uj: permission denied; let the user that measures read it"):
            energy_j(rapl(zone), lambda: None)
    finally:
        if root:
            os.seteuid(0)


def test_a_counter_that_cannot_have_gone_back(tmp_path: Path) -> None:
    place = tmp_path / "counter"
    place.write_text("9")
    joules = command("cat", str(place), unit="joules", seconds=1e-9)
    with pytest.raises(Unreadable, match="its counter went from 9 J back to 4 J"):
        energy_j(joules, lambda: place.write_text("4"))


def test_work_that_fails_ends_the_reading() -> None:
    with pytest.raises(ZeroDivisionError):
        energy_j(command("echo", "5"), lambda: 1 / 0)


class Drawing(NumpyRuntime):
    """Sentences take a joule for each decoding step."""

    def __init__(self, zone: Zone) -> None:
        super().__init__()
        self.zone = zone

    def load(self, folder, blueprint):
        model = super().load(folder, blueprint)
        run = model.run_sentence

        def drawing(source_length: int, target_length: int, beam: int) -> None:
            run(source_length, target_length, beam)
            self.zone.add(target_length)

        model.run_sentence = drawing
        return model


@pytest.fixture
def zone(tmp_path: Path) -> Zone:
    return Zone(tmp_path / "zone")


@pytest.fixture
def runtime(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Drawing:
    found = Drawing(zone)
    monkeypatch.setattr(hat.runtime, "runtime", lambda *names, **options: found)
    return found


def bench(meter: dict | None) -> Bench:
    return Bench(runtime="torch", precision="fp32", threads=1, cores=None, seed=1, power=meter)


def test_energy_is_the_mean_over_lengths_and_costs_no_latency(zone: Zone, runtime: Drawing) -> None:
    several = Workload.of(workload(SMALL).shape, ((4, 3, 0.25), (8, 9, 0.75)), 2, None)
    smallest = SearchSpace(SMALL).smallest
    found = bench(rapl(zone)).measure(smallest, several, 1, 2)
    assert found.energies_j == pytest.approx((0.25 * 3 + 0.75 * 9,), abs=1e-9)
    assert found.meter == f"RAPL, {zone.folder}"
    assert len(found.timings_ms) == 4
    (zone.folder / "max_energy_range_uj").unlink()
    lost = bench(rapl(zone)).measure(smallest, several, 1, 2)
    assert (lost.energies_j, len(lost.timings_ms)) == ((None,), 4)
    with pytest.raises(HatError, match=r"^its power meter cannot be read: .*max_energy_range_uj: No such file"):
        bench(rapl(zone)).idle_watts()
    assert bench(None).idle_watts() is None
    merged = Measurement.merged([found, lost, found])
    assert merged.energy_j == pytest.approx(7.5)
    assert merged.energies_j == (found.energies_j[0], None, found.energies_j[0])
    stored = json.loads(json.dumps(merged.to_dict()))
    assert stored["energy_j"] == merged.energy_j
    assert Measurement.from_dict(stored, "x") == merged
    assert "1 of 3 visits" in str(missing_energy("board", [merged]))
    assert missing_energy("board", [found]) is None
    # What another meter saw is left out, and without a meter nothing is said.
    assert Measurement.merged([found, replace(found, meter="echo")]).energies_j == (None, found.energies_j[0])
    plain = bench(None).measure(smallest, several, 1, 2)
    assert not {"energy_j", "energies_j", "meter"} & set(plain.to_dict())
    assert Measurement.merged([plain, found]).energies_j == (None, found.energies_j[0])
    for wrong in ({"energies_j": ()}, {"energies_j": (1.0, 2.0)}, {"energies_j": (-1.0,)}, {"meter": None}):
        with pytest.raises(InputError, match="energies_j"):
            replace(found, **wrong)


class Answering:
    """What a device answers, whatever it is asked."""

    def __init__(self, answer: dict) -> None:
        self.answer = answer

    def ask(self, *asked: object, **values: object) -> dict:
        return self.answer


def test_what_a_device_says_of_energy_is_checked(zone: Zone, runtime: Drawing) -> None:
    meter, smallest = rapl(zone), SearchSpace(SMALL).smallest
    right = bench(meter).measure(smallest, workload(SMALL), 1, 2).to_dict()

    def connection(answer: object) -> SshConnection:
        return SshConnection(device="board", agent=Answering(answer), bench={"power": meter})

    assert connection(right).measure(smallest, workload(SMALL), 1, 2).energy_j == pytest.approx(30)
    for wrong in (
        {"meter": "my own"},
        {"meter": None, "energies_j": []},
        {"energies_j": [1e15]},
        {"energies_j": ["much"]},
        {"energies_j": [float("inf")]},
        {"energies_j": [1.0] * 3},
    ):
        with pytest.raises(HatError, match=r"energ|not a measurement"):
            connection({**right, **wrong}).measure(smallest, workload(SMALL), 1, 2)
    assert connection({"idle_w": 3}).idle_watts() == 3.0
    for answer in ({"idle_w": "3"}, {"idle_w": -1}, {"idle_w": float("nan")}, {"idle_w": None}, {}, [], None):
        with pytest.raises(HatError, match=r"^device 'board': it returned no power$"):
            connection(answer).idle_watts()


def problems(path: Path, results: Results) -> list[str]:
    return artifact_of(path.relative_to(results.root).as_posix()).problems(path)


def test_energy_from_samples_to_the_report(
    zone: Zone, runtime: Drawing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, results = write_configuration(tmp_path / "config"), Results(tmp_path / "results")
    write_dictionaries(results)
    chosen = Settings({"devices.here.power": rapl(zone), "latency.shards": 1, "latency.samples": 5}, folder=folder)
    stages.choose_architectures(DeviceScope(chosen, results, "toy", "here"))
    path = stages.sample_shard(DeviceScope(chosen, results, "toy", "here"), 0)
    rows = read_jsonl(path)[1:]
    assert [row["energy_j"] for row in rows] == pytest.approx([4] * 5)
    assert problems(path, results) == []
    # Whether there is a meter is no condition: nothing is measured anew.
    built = len(runtime.built)
    without = Settings({"latency.shards": 1, "latency.samples": 5}, folder=folder)
    stages.sample_shard(DeviceScope(without, results, "toy", "here"), 0)
    assert len(runtime.built) == built
    frame = read_parquet(stages.collect_dataset(DeviceScope(chosen, results, "toy", "here")))
    assert frame["energy_j"].tolist() == pytest.approx([4] * 5)
    assert set(frame["meter"]) == {meter_name(rapl(zone))}
    # A meter that fails on the way costs its energy alone, and is named once.
    more = chosen.changed({"latency.samples": 9})
    stages.choose_architectures(DeviceScope(more, results, "toy", "here"))
    (zone.folder / "max_energy_range_uj").unlink()
    assert "power meter" not in capsys.readouterr().err
    rows = read_jsonl(stages.sample_shard(DeviceScope(more, results, "toy", "here"), 0))[1:]
    assert [row["energy_j"] is None for row in rows] == [False] * 5 + [True] * 4
    assert "device 'here': the energy of 4 of 9 visits is missing" in capsys.readouterr().err
    assert (
        read_parquet(stages.collect_dataset(DeviceScope(more, results, "toy", "here")))["energy_j"].notna().sum() == 5
    )
    (zone.folder / "max_energy_range_uj").write_text(str(RANGE_UJ))

    point = SearchSpace(SMALL).smallest
    results.budget("toy", "here", "20ms").mkdir()
    winner = {"architecture": point.to_dict(), "digest": point.digest, "predicted_latency_ms": 10.0}
    write_json(results.budget("toy", "here", "20ms") / "architecture.json", winner)
    write_folder(results.budget("toy", "here", "20ms") / "model", point)
    path = measure_model(BudgetScope(chosen, results, "toy", "here", "20ms"))
    assert read_json(path)["energy_j"] == pytest.approx(4)
    assert problems(path, results) == []
    assert "| Energy | 4 J per sentence" in (results.budget("toy", "here", "20ms") / "model" / "README.md").read_text()

    def table(settings: Settings) -> str:
        shown = rows_of(DeviceScope(settings, results, "toy", "here"))
        return markdown("x", TABLES["main"].columns, TABLES["main"].rows(settings, results, shown), [])

    assert "| energy, J |" in table(chosen) and "| 4.000 |" in table(chosen)
    measure_model(BudgetScope(without, results, "toy", "here", "20ms"))
    assert "energy" not in table(without)


def test_a_device_is_checked_with_its_meter(zone: Zone, tmp_path: Path) -> None:
    folder = write_configuration(tmp_path / "config")
    meter = command("cat", str(tmp_path / "watts"), seconds=0.05)
    write_json(tmp_path / "power.json", {"devices": {"here": {"runtime": "onnxruntime", "power": meter}}})
    words = [
        "--config-dir",
        str(folder),
        "--configfile",
        str(tmp_path / "power.json"),
        "device",
        "check",
        "here",
        "--json",
    ]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 1, ran.output
    assert "device 'here': its power meter cannot be read: cat " in " ".join(ran.output.split())
    assert "No such file or directory" in " ".join(ran.output.split())
    (tmp_path / "watts").write_text("6.5 W\n")
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["power"]["meter"] == f"watts of cat {tmp_path / 'watts'}"
    assert found["power"]["idle_w"] > 0
    assert found["power"]["reference_energy_j"] > 0


@pytest.mark.parametrize(
    "meter", [{"kind": "usb"}, {"kind": "rapl", "zones": []}, {"kind": "command"}, {"kind": "rapl", "seconds": 0}, 5]
)
def test_meters_that_are_none_are_refused(tmp_path: Path, meter: object) -> None:
    with pytest.raises(InputError, match="power"):
        Settings({"devices": {"here": {"power": meter}}}, folder=write_configuration(tmp_path / "config"))
