"""What a device is, whether its Runtime works, how fast it is."""

import time
from typing import Any

from hat.config.latency import Latency
from hat.config.settings import Settings
from hat.device.connection import LocalConnection, connect
from hat.errors import HatError
from hat.measure.bench import CHECK_ARCHITECTURE, CHECK_LENGTH
from hat.measure.fingerprint import machine_state
from hat.measure.power import unread

# Sentences before timing, sentences of a visit, visits.
WARMUP, REPEATS, VISITS = 2, 5, 6
# Differences of clocks above this many seconds are worth a word.
CLOCK_S = 2.0


def device_rows(settings: Settings) -> list[dict[str, Any]]:
    """One row for each configured device, for people."""
    rows = []
    for name, chosen in settings.devices.items():
        reached = chosen.connection if chosen.connection == "local" else chosen.host or chosen.latency or "no host"
        rows.append(
            {
                "device": name,
                "reached": reached,
                "runtime": chosen.runtime,
                "precision": chosen.precision,
                "accelerator": chosen.accelerator or "none",
                "threads": chosen.threads,
                "cores": "all" if chosen.cores is None else ",".join(map(str, chosen.cores)),
                "beam": chosen.beam,
                "description": chosen.description,
            }
        )
    return rows


def check_device(settings: Settings, device: str) -> dict[str, Any]:
    """Reach a device, test its Runtime, measure a fixed network.

    Returns:
        ``fingerprint`` and ``state`` of the device, ``self_test``, ``reference`` (latency of a fixed Architecture with
        its interval), ``power`` where there is a meter, ``warnings``.

    Raises:
        HatError: it cannot be reached, is not set up, its Runtime does not do what it should, or its power meter
            cannot be read.
    """
    chosen = settings.device(device)
    with connect(settings, device) as connection:
        fingerprint = connection.fingerprint()
        now = (
            machine_state() if isinstance(connection, LocalConnection) else connection.agent.state().state.model_dump()
        )
        offset_s = round(now.pop("time_s") - time.time(), 1)
        if chosen.threads > len(now["usable_cores"]):
            raise HatError(
                f"device {device!r}: threads is {chosen.threads}, expected at most the {len(now['usable_cores'])} cores"
                " that can be used there"
            )
        idle_w = connection.idle_watts()
        measured = connection.check(chosen.beam, WARMUP, REPEATS, VISITS)
    low, high, _ = measured.interval_ms
    interference = [cores for cores in measured.interference if cores is not None]
    found = {
        "device": device,
        "runtime": f"{chosen.runtime} {chosen.precision}",
        "threads": chosen.threads,
        "fingerprint": fingerprint,
        "state": {**now, "clock_offset_s": offset_s},
        "self_test": "passed",
        "reference": {
            "latency_ms": measured.latency_ms,
            "low_ms": low,
            "high_ms": high,
            "interference_cores": max(interference, default=None),
            "digest": CHECK_ARCHITECTURE.digest,
            "tokens": CHECK_LENGTH,
            "beam": chosen.beam,
        },
    }
    if chosen.power is not None:
        found["power"] = {"meter": measured.meter, "idle_w": idle_w, "reference_energy_j": measured.energy_j}
    missing = unread(device, [measured])
    return {**found, "warnings": _warnings(found) + ([] if missing is None else [missing])}


def _warnings(found: dict[str, Any]) -> list[str]:
    said, state, fingerprint = [], found["state"], found["fingerprint"]
    if fingerprint["governor"] not in (None, "performance"):
        said.append(f"the governor is {fingerprint['governor']}, not performance")
    if state["throttling"] not in (None, "none"):
        said.append(f"the clock is throttled: {state['throttling']}")
    if (found["reference"]["interference_cores"] or 0) > Latency().interference:
        said.append(f"other processes used {found['reference']['interference_cores']:.1f} cores meanwhile")
    if abs(state["clock_offset_s"]) > CLOCK_S:
        said.append(f"its clock differs from here by {state['clock_offset_s']} s")
    return said
