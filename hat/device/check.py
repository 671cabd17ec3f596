"""The list of configured devices, and `hat device check`: what a device is, whether its Runtime works, how fast."""

import time
from typing import Any

from hat.config.latency import Latency
from hat.config.settings import Settings
from hat.device.connection import LocalConnection, connect
from hat.errors import HatError
from hat.measure.bench import CHECK_ARCHITECTURE, CHECK_LENGTH
from hat.measure.fingerprint import machine_state
from hat.measure.power import missing_energy

# Warm-up sentences and timed sentences of each visit, and visits.
WARMUP, REPEATS, VISITS = 2, 5, 6
# Warn if the device's clock differs by more than this many seconds.
CLOCK_S = 2.0


def device_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return a table with one row for each configured device."""
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
    """Connect to a device, test its Runtime, and measure a fixed network.

    Returns:
        ``fingerprint`` and ``state`` of the device, ``self_test``, ``reference`` (latency of a fixed Architecture with
        its interval), ``power`` if a meter is configured, and ``warnings``.

    Raises:
        HatError: the device cannot be reached or is not set up, its Runtime fails the test, or its power meter cannot
            be read.
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
                f"device {device!r}: threads is {chosen.threads}, expected at most {len(now['usable_cores'])}, the"
                " number of cores that hat may use there"
            )
        idle_w = connection.idle_watts()
        measured = connection.check(chosen.beam, WARMUP, REPEATS, VISITS)
    low, high, _ = measured.interval_ms
    interference = [cores for cores in measured.interference if cores is not None]
    report = {
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
        report["power"] = {"meter": measured.meter, "idle_w": idle_w, "reference_energy_j": measured.energy_j}
    missing = missing_energy(device, [measured])
    return {**report, "warnings": _warnings(report) + ([] if missing is None else [missing])}


def _warnings(report: dict[str, Any]) -> list[str]:
    warnings, state, fingerprint = [], report["state"], report["fingerprint"]
    if fingerprint["governor"] not in (None, "performance"):
        warnings.append(f"the CPU frequency governor is {fingerprint['governor']}, not performance")
    if state["throttling"] not in (None, "none"):
        warnings.append(f"the clock is throttled: {state['throttling']}")
    if (report["reference"]["interference_cores"] or 0) > Latency().interference:
        warnings.append(f"other processes used {report['reference']['interference_cores']:.1f} cores meanwhile")
    if abs(state["clock_offset_s"]) > CLOCK_S:
        warnings.append(f"its clock differs from this machine's by {state['clock_offset_s']} s")
    return warnings
