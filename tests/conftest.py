"""Settings of all tests."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# The networks of tests are too small to be shared by threads, which would spin while they wait for each other. The
# processes that tests start inherit this; torch and whoever else imports a BLAS comes later than this file.
os.environ |= {"OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}

# No test depends on how fast the machine is.
settings.register_profile("hat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hat")


def pytest_collection_finish():
    """Take what all the files imported out of the garbage collector's sight: measuring collects before each network."""
    gc.collect()
    gc.freeze()


# First, since pytest-xdist reads the groups in a hook of the same name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of one file run in one process of pytest-xdist, so that what they share is made once."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
