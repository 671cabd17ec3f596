"""Fixtures of tests on a GPU, which are skipped on other machines and report their peak memory."""

import os

import pytest
import torch

# Read when cuBLAS is first used: sums in the same order every time. The few kernels here are compiled sooner than
# processes start that would share them.
os.environ |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TORCHINDUCTOR_COMPILE_THREADS": "1"}

PEAK = pytest.StashKey[dict[str, float]]()


def pytest_collection_modifyitems(items):
    """Mark all tests of this folder, and skip them on a machine without a GPU."""
    for item in items:
        if "tests/gpu/" in item.nodeid:
            item.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="torch finds no CUDA GPU on this machine"))


@pytest.fixture(autouse=True)
def memory_peak(request):
    """Note the peak of the memory that this process allocated on the GPU during a test."""
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.reset_peak_memory_stats()
    yield
    request.config.stash.setdefault(PEAK, {})[request.node.name] = torch.cuda.max_memory_allocated() / 2**20


def pytest_terminal_summary(terminalreporter, config):
    """Say which GPU it was and how much memory each test took."""
    if peaks := config.stash.get(PEAK, None):
        free, total = torch.cuda.mem_get_info()
        terminalreporter.section(f"{torch.cuda.get_device_name()}, torch {torch.__version__}: peak memory, MiB")
        for name, peak in peaks.items():
            terminalreporter.line(f"{peak:10.1f}  {name}")
        terminalreporter.line(f"{(total - free) / 2**20:10.1f}  taken of {total / 2**20:.0f} at the end")
