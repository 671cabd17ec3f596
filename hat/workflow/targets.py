"""The requested targets: targets with unknown names are refused before any job runs."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from hat.artifacts.layout import Results
from hat.artifacts.table import kind_of, reserved
from hat.config.runtimes import RUNTIMES
from hat.config.settings import Settings
from hat.config.variants import VARIANTS, settings_for_variant
from hat.errors import InputError
from hat.runtime.base import refusal
from hat.space.kinds import configured_architecture

BUDGET_PATTERN = r"[0-9]+(\.[0-9]+)?(ms|s)"
COMPRESSION = "-compression"


def pattern(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def command_line_targets() -> list[str]:
    """Return the targets of the running ``snakemake``, which does not tell them to a Snakefile that it reads."""
    if Path(sys.argv[0]).name not in ("snakemake", "__main__.py"):
        return []
    from snakemake.cli import get_argument_parser

    targets: list[str] = get_argument_parser().parse_args(sys.argv[1:]).targets
    return list(targets)


def requested(target: str, results: Results) -> tuple[str, str | None, str | None] | None:
    """Return the task, device and budget that a target path names; None if it is not an artifact of a task.

    A baseline's name takes the place of the budget; there is no device if the target belongs to its training.
    """
    try:
        parts = PurePosixPath(target).relative_to(results.root.as_posix()).parts
    except ValueError:
        return None
    if not parts or parts[0] in reserved():
        return None
    if parts[1:2] == ("baselines",):
        return parts[0], None, parts[2] if len(parts) > 2 else None
    device = parts[1] if len(parts) > 1 and parts[1] not in reserved("TASK") else None
    budget = parts[2] if device and len(parts) > 2 and parts[2] not in reserved("TASK", "DEVICE") else None
    return parts[0], device, budget


def check_targets(targets: Iterable[str], settings: Settings, results: Results, *, will_run: bool) -> None:
    """Refuse targets that name an unknown task, device, budget, baseline or variant, or an unreachable device.

    Args:
        targets: requested paths and rule names.
        settings: the configuration.
        results: where the artifacts are.
        will_run: whether jobs will run, so that a device to be measured needs an address.

    Raises:
        InputError: a target is refused; the message lists the known names.
    """
    for target in targets:
        if (names := requested(target, results)) is not None:
            task, device, budget = names
            settings.task(task)
            if device is not None:
                settings.device(device)
            if budget is not None and device is None:
                settings.baseline(budget)
            elif budget is not None and settings.limit_ms(budget) is None and _is_searched(target, results):
                raise InputError(
                    f"{target}: a baseline is not searched; its network is in {settings.folder}/baselines/{budget}.yaml"
                )
            variant = _variant_of(target, results) if budget is not None and device is not None else None
            if budget in settings.baselines and device is not None:
                _check_expressible(settings_for_variant(settings, task, device, variant), device, budget)
            # Training a baseline, and exporting and scoring its variants, does not need the device.
            if will_run and device is not None and not (variant and budget in settings.baselines):
                _check_reachable(settings, results, task, device, budget)
        elif (report := reported(target, settings, results)) is not None and will_run:
            _check_reachable(settings, results, *report)


def _is_searched(target: str, results: Results) -> bool:
    kind = kind_of(PurePosixPath(target).relative_to(results.root.as_posix()).as_posix())
    return kind is not None and kind.searched


def reported(target: str, settings: Settings, results: Results) -> tuple[str, str] | None:
    """Return the task and device of a figure or table; None for the table of costs and for other targets.

    Raises:
        InputError: the task or the device is unknown.
    """
    if not target.startswith((f"{results.tables}/", f"{results.figures}/")) or is_cost(target):
        return None
    pairs = {f"{task}-{device}": (task, device) for task in settings.tasks for device in settings.devices}
    name = PurePosixPath(target).relative_to(results.root.as_posix()).parts[1].split(".")[0]
    if name not in pairs and is_compression(target):
        name = name.removesuffix(COMPRESSION)
    if name not in pairs:
        raise InputError(
            f"{target}: expected TASK-DEVICE with a task of {', '.join(settings.tasks)}"
            f" and a device of {', '.join(settings.devices)}"
        )
    return pairs[name]


def is_cost(target: str) -> bool:
    """Whether a target is the table of costs, which covers all tasks and devices."""
    return PurePosixPath(target).stem == "cost"


def is_compression(target: str) -> bool:
    """Whether a target is a compression table rather than a summary."""
    return PurePosixPath(target).stem.endswith(COMPRESSION)


def _check_expressible(settings: Settings, device: str, baseline: str) -> None:
    """Refuse a baseline that the device's Runtime cannot execute, before time is spent on training it."""
    chosen, architecture = settings.device(device), configured_architecture(settings.baseline(baseline).network)
    if (reason := refusal(RUNTIMES[chosen.runtime], architecture)) is not None:
        runtimes = sorted(name for name, facts in RUNTIMES.items() if refusal(facts, architecture) is None)
        able = [name for name, one in settings.devices.items() if one.runtime in runtimes]
        raise InputError(
            f"baseline {baseline!r} on device {device!r}, runtime {chosen.runtime!r}: {reason}; expected a device with"
            f" runtime {' or '.join(runtimes)} ({', '.join(able) or 'none is configured'})"
        )


def _variant_of(target: str, results: Results) -> str | None:
    """Return the variant that a target belongs to; None for the deployed model itself.

    Raises:
        InputError: the variant is unknown.
    """
    folders = PurePosixPath(target).relative_to(results.root.as_posix()).parts[3:-1]
    if not folders or folders[0] in reserved("TASK", "DEVICE", "BUDGET"):
        return None
    if folders[0] not in VARIANTS:
        raise InputError(f"{target}: {folders[0]!r} is unknown, expected {', '.join(VARIANTS[:-1])} or {VARIANTS[-1]}")
    return folders[0]


def _check_reachable(settings: Settings, results: Results, task: str, device: str, budget: str | None = None) -> None:
    chosen = settings.device(device)
    measured = (
        results.budget(task, device, budget) / "latency.json"
        if budget in settings.baselines
        else results.latency(task, device) / "dataset.parquet"
    ).exists()
    if chosen.latency is not None and not Path(chosen.latency).exists():
        raise InputError(f"{settings.folder}/devices/{device}.yaml, latency: {chosen.latency}: no such file")
    if chosen.connection == "ssh" and chosen.host is None and chosen.latency is None and not measured:
        raise InputError(
            f"{settings.folder}/devices/{device}.yaml, host: no host is configured for {device};"
            " it is reached by ssh, so set host there to an alias of your OpenSSH configuration"
        )
