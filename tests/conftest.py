"""Settings of all tests."""

import gc
import os
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The networks of tests are too small to be shared by threads, which would spin while they wait for each other. The
# processes that tests start inherit this; torch and whoever else imports a BLAS comes later than this file.
os.environ |= {"OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}
# Tests that run side by side measure what does not matter, and need not wait for each other.
os.environ["HAT_DEVICE_LOCK"] = f"/tmp/hat-device-{os.getpid()}.lock"

WORKFLOW = "tests/workflow/"
SLOW = pytest.StashKey[int]()

# No test depends on how fast the machine is.
settings.register_profile("hat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hat")


def pytest_collection_finish():
    """Take what all the files imported out of the garbage collector's sight: measuring collects before each network."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Put the tests that take longest first."""
    items.sort(key=lambda item: not item.nodeid.startswith(WORKFLOW))


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory):
    """Return a function from ``super`` or ``sub`` to the path of a checkpoint of the research code."""
    from reference import write_checkpoint_file

    return cache(lambda kind: write_checkpoint_file(kind, tmp_path_factory.mktemp("published")))


def pytest_deselected(items):
    """Count the slow tests that are left out; processes of xdist hand the number over at their end."""
    config = items[0].config
    config.stash[SLOW] = config.stash.get(SLOW, 0) + sum(item.get_closest_marker("slow") is not None for item in items)
    if hasattr(config, "workeroutput"):
        config.workeroutput["slow"] = config.stash[SLOW]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Take the number from a process of xdist: all of them collect the same tests."""
    node.config.stash[SLOW] = getattr(node, "workeroutput", {}).get("slow", 0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter, config):
    """Say in one block after everything else what did not run and why, a line a reason."""
    yield
    files = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        path, _, reason = report.longrepr
        files[reason.removeprefix("Skipped: ")].append(Path(path).name)
    slow = config.stash.get(SLOW, 0)
    if not files and not slow:
        return
    terminalreporter.section("not run")
    for reason, names in sorted(files.items()):
        terminalreporter.line(f"{_tests(len(names))} in {', '.join(sorted(set(names)))}: {reason}")
    if slow:
        terminalreporter.line(f"{_tests(slow)} marked slow: docs/development/tests.md has the commands")


def _tests(count):
    return f"{count} test{'s' if count > 1 else ''}"
