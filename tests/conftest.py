"""Settings of all tests."""

import gc
import os

from hypothesis import HealthCheck, settings

# The networks of tests are too small to be shared by threads, which would spin while they wait for each other. The
# processes that tests start inherit this; torch and whoever else imports a BLAS comes later than this file.
os.environ |= {"OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}
# Tests that run side by side measure what does not matter, and need not wait for each other.
os.environ["HAT_DEVICE_LOCK"] = f"/tmp/hat-device-{os.getpid()}.lock"

WORKFLOW = "tests/workflow/"

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
