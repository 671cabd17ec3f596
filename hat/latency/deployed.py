"""The latency of a deployed model, measured on the device with the protocol of the samples."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hat.artifacts.files import only_one, provenance, read_json, write_json
from hat.artifacts.missing import MissingArtifact
from hat.config.latency import Latency
from hat.config.scope import BudgetScope, DeviceScope
from hat.deploy.card import add_figures
from hat.deploy.folder import DESCRIPTION
from hat.device.connection import Connection, check_reachable, connect
from hat.measure.measurement import Measurement
from hat.measure.power import missing_energy
from hat.measure.visits import PlainVisit, Visits
from hat.measure.workload import Workload, workload_of
from hat.space.kinds import configured_architecture, network_to_dict
from hat.system.progress import Tracker, progress

# A visit to a deployed folder has this many times the sentences of a visit to a sample.
REPEATS = 5


@dataclass(frozen=True)
class DeployedLatency:
    """A measurement of a deployed folder.

    Attributes:
        measured: the timings.
        origin: ``conditions``, the device's ``fingerprint`` and ``provenance``, as artifacts store them.
    """

    measured: Measurement
    origin: dict[str, Any]


def measure_deployed(scope: DeviceScope, model: Path, workload: Workload, title: str) -> DeployedLatency:
    """Measure a deployed folder on the device, and write its latency into the model card.

    Args:
        scope: the task and the device.
        model: the deployed folder.
        workload: lengths, beam and shape.
        title: label of the progress bar.

    Raises:
        HatError: the device cannot be reached or measured on.
        InputError: the folder is missing.
    """
    if not model.is_dir():
        raise MissingArtifact(model, model / DESCRIPTION)
    rules = scope.task_settings.latency
    repeats = REPEATS * rules.repeats
    total = repeats * len(workload.pairs) * rules.passes
    with (
        only_one(scope.latency, f"Measuring on {scope.device}"),
        connect(scope.settings, scope.device) as connection,
    ):
        conditions = connection.conditions(workload, rules.warmup, repeats).to_dict()
        with progress(title, total, background=False) as tracker:
            measured = _measure_folder(connection, model, workload, rules, repeats, tracker)
        fingerprint = connection.fingerprint()
    if (missing := missing_energy(scope.device, [measured])) is not None:
        print(missing, file=sys.stderr)
    figures: dict[str, Any] = {"latency_ms": measured.latency_ms, "spread_ms": measured.spread_ms}
    if measured.energy_j is not None:
        figures |= {"energy_j": measured.energy_j, "meter": measured.meter}
    add_figures(model, **figures, latency_conditions=conditions)
    origin = {
        "conditions": conditions,
        "fingerprint": fingerprint,
        "provenance": provenance(seed=scope.settings.seed, settings=conditions),
    }
    return DeployedLatency(measured, origin)


def _measure_folder(
    connection: Connection, folder: Path, workload: Workload, rules: Latency, repeats: int, tracker: Tracker
) -> Measurement:
    """Visit the device until the protocol is satisfied; each visit loads the folder again."""
    visits: Visits[PlainVisit] = Visits(rules)
    sentences = repeats * len(workload.pairs)
    while not visits.enough(None):
        before = sentences * len(visits.all)

        def shifted(completed: int, note: str = "", before: int = before) -> None:
            tracker(before + completed, note)

        measured = connection.measure_deployed(folder, workload, rules.warmup, repeats, shifted)
        visits.all.append(PlainVisit(measured))
    tracker(sentences * rules.passes)
    return visits.measurement()


def measure_model(scope: BudgetScope, variant: str | None = None) -> Path:
    """Measure the model deployed for a budget or baseline, and write ``latency.json`` beside it.

    A baseline, and a variant other than the deployed one, is not compared with a budget or a prediction.

    Args:
        scope: the task, the device, and the budget or the name of a baseline.
        variant: one of :data:`hat.config.variants.VARIANTS`; the deployed one if None.

    Raises:
        HatError: the device cannot be reached or measured on.
        InputError: the budget is neither a budget nor a baseline, the variant is unknown, or a file is missing.
    """
    scope = scope.as_variant(variant)
    limit_ms = scope.settings.limit_ms(scope.budget)
    check_reachable(scope.settings, scope.device)
    folder = scope.variant_folder(variant)
    winner = None if limit_ms is None else read_json(scope.folder / "architecture.json")
    workload = workload_of(scope, scope.budget if winner is None else None)
    title = f"Measuring the model for {scope.budget} on {scope.device}"
    found = measure_deployed(scope, folder / "model", workload, title)
    content: dict[str, Any] = found.measured.to_dict()
    if winner is None or limit_ms is None:
        architecture = configured_architecture(scope.settings.baseline(scope.budget).network)
        content = {"baseline": scope.budget, **content, "digest": architecture.digest}
        content |= network_to_dict(architecture, workload.shape)
    elif variant is not None:
        content |= {"budget": scope.budget, "digest": winner["digest"], "architecture": winner["architecture"]}
    else:
        measured_ms, predicted_ms = found.measured.latency_ms, float(winner["predicted_latency_ms"])
        content = {
            "budget": scope.budget,
            "budget_ms": limit_ms,
            "within_budget": measured_ms <= limit_ms,
            **content,
            "predicted_latency_ms": predicted_ms,
            "prediction_error_percent": 100 * (predicted_ms - measured_ms) / measured_ms,
            "digest": winner["digest"],
            "architecture": winner["architecture"],
        }
    content |= {**({} if variant is None else {"form": variant}), **found.origin}
    write_json(folder / "latency.json", content)
    return folder / "latency.json"
