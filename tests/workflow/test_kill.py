"""kill -9 of a whole run in the middle of each stage: the next one continues, and ends with the same result."""

import json
import shutil

import pandas as pd
import pytest
import torch

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]
DATA = "smoke/data"


def count(written, name):
    return sum(path.endswith(name) for path in written)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, project_in):
    return project_in(tmp_path_factory.mktemp("interrupted"))


def same(one, other, *names):
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def same_weights(one, other):
    first, second = (torch.load(path / "checkpoint.pt", weights_only=True)["model"] for path in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def losses(folder, name="metrics.jsonl"):
    rows = map(json.loads, (folder / name).read_text().splitlines())
    return [(row["event"], row["update"], row["loss"], row["nll"]) for row in rows]


def test_data(interrupted, finished):
    target = f"results/{DATA}/binary/counts.json"
    interrupted.written(target, kill="raw/test.de$")
    interrupted.written(target, kill="tokens/train.de$")
    written = interrupted.written(target, kill=r"binary/validation.en-de.de.idx$")
    assert not [path for path in written if "/words/" in path or path.endswith("tokens/train.en")]
    assert count(written, "tokens/train.de") == 1
    interrupted.written(target)
    for folder in ("raw", "tokens", "binary"):
        names = {path.name for path in (finished.folder / "results" / DATA / folder).iterdir()} - {"counts.json"}
        assert {path.name for path in (interrupted.folder / "results" / DATA / folder).iterdir()} >= names
        same(
            interrupted.folder / "results" / DATA / folder,
            finished.folder / "results" / DATA / folder,
            *(names - {".made.json"}),
        )


def test_supertransformer(interrupted, finished):
    target = "results/smoke/supertransformer/checkpoint.pt"
    first = interrupted.written(target, kill="update-00000030.pt$")
    assert count(first, "update-00000020.pt") == 1
    written = interrupted.written(target, kill="supertransformer/checkpoint.pt$")
    assert [path[-18:] for path in written if "/update-" in path] == ["update-00000030.pt", "update-00000040.pt"]
    # Killed once more when all but the last file was there: nothing is trained again.
    assert not [path for path in interrupted.written(target) if "/update-" in path]
    one, other = (project.folder / "results/smoke/supertransformer" for project in (interrupted, finished))
    same_weights(one, other)
    assert losses(one) == losses(other)


def test_shortlist(interrupted, finished):
    target = "results/smoke/shortlist/shortlist.json"
    first = interrupted.written(target, kill=r"partial/lexicon.npz$")
    assert count(first, "partial/lexicon-0.npz") == 1
    written = interrupted.written(target, kill=r"partial/translations.jsonl$", time=2)
    assert count(written, "partial/lexicon-0.npz") == 0
    written += interrupted.written(target, kill=r"shortlist/shortlist.json$")
    assert count(written, "partial/lexicon.npz") == 1
    # Killed once more when all was translated: nothing is translated again.
    assert count(interrupted.written(target), "partial/translations.jsonl") == 0
    one, other = (project.folder / "results/smoke/shortlist" for project in (interrupted, finished))
    assert (one / "vmap.txt").exists() == (other / "vmap.txt").exists()
    # Another alignment is a little different, and so is all that comes after.
    for path in one.glob("vmap.txt"):
        shutil.copyfile(other / path.name, path)


def test_latency(interrupted):
    target = "results/smoke/local/budgets.json"
    name = "latency/partial/0.jsonl"
    first = interrupted.written(target, kill=f"{name}$", time=14)
    rows = (interrupted.results / name).read_text().splitlines()
    assert 10 <= len(rows) < 24
    # The verb outlives its Snakemake, and the next one waits where it has not ended.
    interrupted.written(target, kill=f"{name}$", time=4, alone=True)
    interrupted.written(target)
    # Conditions once, the reference again at the start, and each Architecture once.
    samples = [json.loads(row) for row in (interrupted.results / name).read_text().splitlines()]
    digests = [row["digest"] for row in samples if row["kind"] == "sample"]
    assert len(digests) == len(set(digests)) == 24
    assert (interrupted.results / name).read_text().splitlines()[: len(rows)] == rows
    assert count(first, name) == 13


def test_search_to_score(interrupted, finished):
    # The same predictor, or else the searches would differ.
    for name in ("predictor/predictor.json", "predictor/errors.json", "budgets.json"):
        shutil.copyfile(finished.results / name, interrupted.results / name)
    budget = json.loads((finished.results / "budgets.json").read_text())["budgets"][-1]
    one, other = interrupted.results / budget, finished.results / budget
    target = f"results/smoke/local/{budget}/bleu.txt"

    # The same measurements: those of another run are a little different.
    shutil.copytree(finished.results / "search", interrupted.results / "search", dirs_exist_ok=True)
    for name in ("front.json", "front.parquet", "candidates.parquet"):
        (interrupted.results / "search" / name).unlink()
    evaluations = interrupted.folder / "results/smoke/search/evaluations.jsonl"

    interrupted.written(target, kill="evaluations.jsonl$", time=6)
    found = evaluations.read_text().splitlines()
    assert len(found) >= 3
    written = interrupted.written(target, kill="subtransformer/partial/.*/update-00000030.pt$")
    rows = evaluations.read_text().splitlines()
    assert rows[: len(found)] == found
    pieces = [json.dumps([json.loads(row)[key] for key in ("architecture", "first")]) for row in rows]
    assert len(pieces) == len(set(pieces))

    written = interrupted.written(target, kill="model/network/weights.npz$")
    assert [path[-18:] for path in written if "/update-" in path] == ["update-00000030.pt", "update-00000040.pt"]
    assert not (one / "model/model.json").exists()
    written = interrupted.written(target, kill="partial/hypotheses.jsonl$", time=9)
    assert not [path for path in written if "/update-" in path]
    translated = (one / "partial/hypotheses.jsonl").read_text().splitlines()
    assert 2 <= len(translated) < 21
    interrupted.written(target)
    assert (one / "partial/hypotheses.jsonl").read_text().splitlines()[: len(translated)] == translated

    columns = ["order", "generation", "origin", "digest", "predicted_latency_ms", "validation_loss"]
    pd.testing.assert_frame_equal(
        *(pd.read_parquet(place / "search.parquet")[columns] for place in (one, other)), check_exact=True
    )
    same_weights(one / "subtransformer", other / "subtransformer")
    assert losses(one / "subtransformer") == losses(other / "subtransformer")
    same(one, other, "hypotheses.txt", "bleu.txt")
    # Nor is anything left of the files that were being written.
    assert not list(interrupted.folder.glob("results/**/.*.tmp"))
    assert "Nothing to be done" in interrupted.snakemake(target)
