"""Fixtures of several files."""

import pytest
from toy_training import make_project


@pytest.fixture
def project(tmp_path):
    """Settings and results of a tiny task to train on."""
    return make_project(tmp_path)
