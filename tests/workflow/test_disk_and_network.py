"""A full disk, a server that does not answer, a damaged download: one sentence, nothing lost."""

import hashlib
import os
import re
import socket
import subprocess

import pytest
import torch

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]
FULL = re.compile(r"^hat: results/\S+: the disk is full; free some space and run the same command again$", re.MULTILINE)


@pytest.fixture
def disk(project):
    """Sets the size of the small disk that results/ lies on, in KB."""
    results = project.folder / "results"
    results.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(results)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {mounted.stderr.strip()}")
    yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}k", str(results)], check=True)
    subprocess.run(["umount", "--lazy", str(results)], check=True)


def test_full_disk_stops_with_a_sentence_and_the_next_run_goes_on(project, disk, finished):
    target = "results/smoke/supertransformer/checkpoint.pt"
    reached = []
    # In the text, in the binarised splits, in the second checkpoint.
    for size in (100, 330, 2400):
        disk(size)
        output = project.snakemake(target, code=1)
        assert len(FULL.findall(output)) == 1, output
        assert "Traceback" not in output
        reached.append(len(list((project.folder / "results").rglob("*"))))
    assert reached == sorted(reached)
    checkpoints = list((project.folder / "results/smoke/supertransformer/partial").glob("*/update-*.pt"))
    assert checkpoints
    disk(64 * 1024)
    written = project.written(target)
    first = next(path for path in written if "/update-" in path)
    assert first.endswith(f"update-{10 * len(checkpoints) + 10:08d}.pt")
    one, other = (torch.load(made.folder / target, weights_only=True)["model"] for made in (project, finished))
    assert all(torch.equal(one[name], other[name]) for name in other)


def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.parametrize("kind", ["http", "pypi"])
def test_no_network(project, kind):
    """What was tried and where a file can be put by hand; the file put there is used, and a damaged one is not."""
    content = (project.folder / "corpus.tsv").read_bytes()
    port = closed_port()
    task = project.folder / "config/tasks/smoke.yaml"
    text = task.read_text()
    environment = os.environ | {"PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple", "PIP_EXTRA_INDEX_URL": ""}
    if kind == "http":
        source = (
            f"{{kind: http, url: 'http://127.0.0.1:{port}/corpus.tsv',"
            f" sha256: {hashlib.sha256(content).hexdigest()}, size: {len(content)}}}"
        )
        tried = [f"http://127.0.0.1:{port}/corpus.tsv: "]
    else:
        content = wheel(project.folder, content)
        source = (
            "{kind: pypi, package: made-corpus, version: 1.0, member: made/corpus.tsv,"
            f" sha256: {hashlib.sha256(content).hexdigest()}}}"
        ).replace("1.0", "'1.0'")
        tried = [f"http://127.0.0.1:{port}/simple/made-corpus/: "]
    task.write_text(text.replace("{kind: file, path: corpus.tsv}", source))
    target = "results/smoke/data/counts.json"

    def run(code):
        ran = subprocess.run(
            project.command(target),
            check=False,
            cwd=project.folder,
            capture_output=True,
            text=True,
            env=environment,
            timeout=3600,
        )
        output = ran.stdout + ran.stderr
        assert ran.returncode == code, output
        return output

    output = run(1)
    sentences = re.findall(r"^hat: .*could not be downloaded.*$", output, re.MULTILINE)
    assert len(sentences) == 1
    assert all(address in sentences[0] for address in tried)
    assert "onnection refused" in sentences[0]
    assert "Traceback" not in output
    place = re.search(r"put the file by hand at (\S+)$", sentences[0])[1]
    if kind == "http":
        with open(place, "wb") as stream:
            stream.write(content[:-1] + b"?")
        assert re.search(r"^hat: .*tried \S+corpus.tsv: has SHA-256 \w+, expected ", run(1), re.MULTILINE)
    with open(place, "wb") as stream:
        stream.write(content)
    run(0)
    assert (project.folder / target).exists()


def wheel(folder, content):
    """Bytes of a wheel that holds a corpus."""
    import zipfile

    path = folder / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/corpus.tsv", content)
    return path.read_bytes()
