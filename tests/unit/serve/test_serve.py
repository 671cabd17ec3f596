"""``hat serve``: answers, limits, queue, the end; against a real server in a process of its own."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import PATIENCE_SECONDS, Served
from toy_model import write_model

from hat.deploy.translator import Translator
from hat.runtime.base import Decoding
from hat.serve.app import Service, create_app
from hat.serve.limits import Limits
from hat.serve.workers import Workers

# One line of this text is a batch of its own, so that a translation of it can be ended soon; none ends early.
LINE = "a " * 240 + "\n"
SLOW = Decoding(beam=16, max_length_ratio=0, max_length_extra=20, min_length=20)
ROOMY = ("--characters", 10_000_000, "--lines", 100_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    decoding = Decoding(beam=2, max_length_ratio=0, max_length_extra=6)
    return write_model(tmp_path_factory.mktemp("quick") / "model", decoding=decoding, budget="20ms")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("slow") / "model", decoding=SLOW)


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory):
    with Served(folder, tmp_path_factory.mktemp("log") / "log", "--characters", 300, "--lines", 20) as served:
        yield served


def error_of(response, status):
    """The one sentence of an error."""
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    sentence = response.json()["error"]
    assert sentence and "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 400
    return sentence


TEXTS = [
    "the end.",
    "",
    "the\n\nend .\r\n the the",
    "a\0b \u2028 \u202e\u05d0 e\u0301 \U0001f469\u200d\U0001f680 \x85 \x1c",
    " ".join(["the end."] * 30),
]


def test_texts_are_translated_line_by_line(served, folder):
    translator = Translator.from_folder(folder)
    expected = ["\n".join(translator.translate(text.split("\n"))) for text in TEXTS]
    answer = served.client.post("/translate", json={"texts": TEXTS[:4]})
    assert answer.status_code == 200
    assert [one["text"] for one in answer.json()["translations"]] == expected[:4]
    assert all(one["latency_ms"] >= 0 for one in answer.json()["translations"])
    assert answer.json()["model"] == {"name": "20ms", "source_language": "en", "target_language": "de"}
    for text, translation in zip(TEXTS, expected, strict=True):
        (only,) = served.client.post("/translate", json={"text": text}).json()["translations"]
        assert only["text"] == translation
        assert only["text"].count("\n") == text.count("\n")
    assert served.client.post("/translate", json={"texts": []}).json()["translations"] == []


def test_unpaired_surrogates_are_left_out(served):
    answers = [
        served.client.post("/translate", content=body, headers={"Content-Type": "application/json"})
        for body in (b'{"text": "the \\ud800end\\udc00"}', b'{"text": "the end"}')
    ]
    assert answers[0].json()["translations"][0]["text"] == answers[1].json()["translations"][0]["text"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "expected a JSON object"),
        (b'{"text": "the', 400, "not JSON"),
        (b'{"text": "\xff"}', 400, "not JSON"),
        (b"\0", 400, "not JSON"),
        (b"[" * 3000, 400, "not JSON"),
        (b'{"text": ' + b"1" * 3000 + b"}", 422, "text: input should be a valid string"),
        (b"[]", 422, "expected a JSON object"),
        (b"null", 422, "expected a JSON object"),
        (b"{}", 422, "give either text or texts"),
        (b'{"text": "a", "texts": ["b"]}', 422, "give either text or texts"),
        (b'{"text": 3}', 422, "text: input should be a valid string"),
        (b'{"texts": "a"}', 422, "texts: input should be a valid list"),
        (b'{"texts": ["a", null]}', 422, "texts.1: input should be a valid string"),
        (b'{"text": "a", "beam": 100}', 422, "beam: extra inputs are not permitted"),
        (b'{"text": "a", "\\ud800": 1}', 422, "surrogate"),
        (b'{"text": "a", "' + b"k" * 3000 + b'": 1}', 422, "kkk"),
        (b'{"text": "a", "latency_ms": "5"}', 422, "latency_ms"),
        (b'{"text": "a", "latency_ms": -1}', 422, "latency_ms: input should be greater than 0"),
        (b'{"text": "a", "latency_ms": NaN}', 422, "latency_ms"),
        (b'{"text": "a", "latency_ms": 50}', 400, "this server has only one"),
    ],
)
def test_a_wrong_request_is_one_sentence(served, body, status, said):
    answer = served.client.post("/translate", content=body, headers={"Content-Type": "application/json"})
    assert said in error_of(answer, status)


def test_other_addresses_and_methods(served):
    assert "/openapi.json" in error_of(served.client.get("/nowhere"), 404)
    assert "GET is not allowed here" in error_of(served.client.get("/translate"), 405)
    error_of(served.client.get("/docs"), 404)
    sent_as_text = served.client.post("/translate", content=b'{"text": "a"}', headers={"Content-Type": "text/plain"})
    assert "sent as application/json" in error_of(sent_as_text, 422)


def test_what_is_said_of_server_and_model(served, folder):
    assert served.client.get("/health").json() == {"status": "ready", "unfinished": 0}
    said = json.loads((folder / "model.json").read_text())
    assert served.client.get("/model").json() == {key: value for key, value in said.items() if key != "provenance"}
    described = served.client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/translate", "/health", "/model"}
    assert set(described["paths"]["/translate"]["post"]["responses"]) >= {"200", "400", "413", "422", "503", "504"}


def test_the_page_asks_nobody_else(served):
    page = served.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in ("/", "/page.css", "/page.js"):
        content = served.client.get(path)
        assert content.status_code == 200
        assert not re.search(r"//[a-z]", content.text.replace("// Half", ""))


def test_long_texts_are_refused(served):
    assert "301 characters, at most 300" in error_of(served.translate("a" * 301), 413)
    assert "21 lines, at most 20" in error_of(served.translate("\n" * 20), 413)
    assert served.translate("a" * 300).status_code == 200
    # However JSON writes them.
    rockets = json.dumps({"text": "\U0001f680" * 300})
    assert len(rockets) > 3600
    sent = served.client.post("/translate", content=rockets, headers={"Content-Type": "application/json"})
    assert sent.status_code == 200


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_long_body_is_refused_before_its_end(served, declared):
    """The client would send for ever; it has its answer nevertheless."""
    kind = f"Content-Length: {10**12}" if declared else "Transfer-Encoding: chunked"
    with socket.create_connection(served.address, PATIENCE_SECONDS) as connection:
        connection.sendall(f"POST /translate HTTP/1.1\r\nHost: x\r\n{kind}\r\n\r\n".encode())
        if not declared:
            # More than is allowed, and less than the server discards.
            for _ in range(10):
                connection.sendall(b"400\r\n" + b"a" * 0x400 + b"\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith("the request is too long")
    assert served.client.get("/health").status_code == 200


def test_an_ordinary_client_sees_that_its_body_is_too_long(served):
    answer = served.client.post("/translate", content=b"a" * 200_000)
    assert "too long" in error_of(answer, 413)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"\0\xff" * 100,
        b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST /translate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_cut_connections_leave_nothing_behind(served, sent):
    with socket.create_connection(served.address, PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
    served.wait_for_unfinished(0)
    assert served.translate("the end.").status_code == 200


def test_clients_side_by_side_get_their_own_translations(served, folder):
    texts = [f"the {letter} end {letter * number}" for number, letter in enumerate("abcdefgh", start=1)]
    expected = Translator.from_folder(folder).translate(texts)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(served.translate, texts * 2))
    assert [answer.json()["translations"][0]["text"] for answer in answers] == expected * 2


def test_the_log_is_a_line_for_each_request_without_text(folder, tmp_path):
    with Served(folder, tmp_path / "log") as served:
        assert served.translate("verysecret").status_code == 200
        served.client.get("/nowhere%0Athe?text=verysecret")
        served.client.post("/translate", content=b"verysecret")
        served.end()
        assert served.exit_code() == 0
    first, *others = [line.split(" ", 2)[2] for line in served.log.read_text().splitlines()]
    assert re.fullmatch(r"POST /translate 200 \d+ ms 1 lines 10 characters", first)
    assert [line.rsplit(" ", 2)[0] for line in others[:2]] == ["GET /nowhere%0Athe 404", "POST /translate 422"]
    assert others[2:] == ["shutting down, 0 translations left"]
    assert "verysecret" not in served.log.read_text()


def send_slow(served, lines):
    """A request whose answer is not waited for; closing the connection takes it back."""
    body = json.dumps({"text": LINE * lines}).encode()
    connection = socket.create_connection(served.address, PATIENCE_SECONDS)
    head = (
        f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def test_the_queue_is_bounded_and_those_who_leave_make_room(slow, tmp_path):
    with Served(slow, tmp_path / "log", "--queue", 1, "--timeout", PATIENCE_SECONDS, *ROOMY) as served:
        running = send_slow(served, 10_000)
        served.wait_for_unfinished(1)
        waiting = send_slow(served, 10_000)
        served.wait_for_unfinished(2)
        refused = served.translate("a")
        assert "too many requests are waiting" in error_of(refused, 503)
        assert int(refused.headers["retry-after"]) >= 1
        waiting.close()
        served.wait_for_unfinished(1)
        running.close()
        served.wait_for_unfinished(0)
        assert served.translate("a").status_code == 200
    assert served.log.read_text().count(" 499 ") == 2


def test_a_request_has_its_time(slow, tmp_path):
    with Served(slow, tmp_path / "log", "--timeout", 1, *ROOMY) as served:
        assert "longer than 1 s" in error_of(served.translate(LINE * 10_000), 504)
        served.wait_for_unfinished(0)
        with socket.create_connection(served.address, PATIENCE_SECONDS) as connection:
            connection.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert connection.makefile("rb").read().startswith(b"HTTP/1.1 408 ")
        with ThreadPoolExecutor(3) as clients:
            answers = list(clients.map(served.translate, [LINE * 10_000] * 3))
        # Those that waited may begin, late, when another has had its time; on a busy machine one may arrive late, too.
        assert {answer.status_code for answer in answers} <= {408, 503, 504}
        assert all(error_of(answer, answer.status_code) for answer in answers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_the_end_what_was_accepted_is_finished(slow, tmp_path, number):
    grace = ("--grace", PATIENCE_SECONDS, "--timeout", PATIENCE_SECONDS)
    with Served(slow, tmp_path / "log", *grace, *ROOMY) as served, ThreadPoolExecutor(2) as clients:
        answers = [clients.submit(served.translate, LINE * 12) for _ in range(2)]
        served.wait_for_unfinished(2)
        served.end(number)
        health = served.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "draining")
        assert "shutting down" in error_of(served.translate("a"), 503)
        for answer in answers:
            assert answer.result().status_code == 200
            assert answer.result().json()["translations"][0]["text"].count("\n") == 12
        assert served.exit_code() == 0


@pytest.mark.parametrize("impatient", [False, True], ids=["grace over", "second signal"])
def test_what_takes_longer_than_the_grace_time_is_told_so(slow, tmp_path, impatient):
    grace = ("--grace", PATIENCE_SECONDS if impatient else 0.2, "--timeout", PATIENCE_SECONDS)
    with Served(slow, tmp_path / "log", *grace, *ROOMY) as served, ThreadPoolExecutor(1) as clients:
        answer = clients.submit(served.translate, LINE * 10_000)
        served.wait_for_unfinished(1)
        served.end()
        if impatient:
            while served.client.get("/health").status_code == 200:
                pass
            served.end()
        assert served.exit_code() == 0
        assert "shutting down" in error_of(answer.result(), 503)
    assert "Traceback" not in served.log.read_text()


def test_workers_translate_side_by_side(slow, tmp_path):
    with Served(slow, tmp_path / "log", "--workers", 2, "--queue", 0, "--timeout", PATIENCE_SECONDS, *ROOMY) as served:
        running = send_slow(served, 10_000)
        served.wait_for_unfinished(1)
        # There is no queue: the second worker does this.
        assert served.translate("a").status_code == 200
        running.close()


def ended(*arguments):
    ran = subprocess.run(
        [sys.executable, "-m", "hat", "serve", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    return ran.returncode, ran.stderr


def test_a_port_in_use_is_one_sentence(served, folder):
    host, port = served.address
    code, said = ended("--model", folder, "--host", host, "--port", port)
    assert code == 1
    assert f"port {port} of {host} is in use" in said


def test_wrong_arguments_are_one_sentence(folder, tmp_path):
    code, said = ended("--model", tmp_path / "nowhere", "--port", 0)
    assert (code, "nowhere/model.json: no such file" in said) == (2, True)
    code, said = ended("--model", folder / "codes", "--port", 0)
    assert (code, f"codes: not a deployed folder (no model.json); use {folder}" in said) == (2, True)
    code, said = ended("--model", folder, "--host", "no such host", "--port", 0)
    assert (code, "--host no such host: no such host" in said) == (2, True)


def test_what_is_missing_is_named(folder):
    code = (
        "import sys; sys.modules['fastapi'] = None; import hat.cli.app; "
        f"sys.argv = ['hat', 'serve', '--model', {str(folder)!r}]; hat.cli.main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "hat: hat serve needs the package fastapi; pip install 'hat[serve]'\n"


def test_any_allowed_text_fits_into_a_body():
    limits = Limits(characters=50, lines=7)
    for texts in (["\U0001f680" * 50, *[""] * 6], ["\0" * 44 + "\n" * 6], ["\ud800" * 50]):
        assert len(json.dumps({"texts": texts})) <= limits.body_bytes


def asked(translator, *bodies):
    """Answers of an application in this process, one request after another."""
    workers = Workers([translator], waiting=3)
    app = create_app(Service(translator.description, workers, Limits()))

    async def answers():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return [await client.post("/translate", json=body) for body in bodies]

    made = asyncio.run(answers())
    assert workers.end()
    return made


def test_a_failure_inside_is_one_sentence_and_logged_without_text(folder, caplog, monkeypatch):
    translator = Translator.from_folder(folder)

    def fails(sources, decoding):
        raise RuntimeError("verysecret")

    monkeypatch.setattr(translator.model, "translate", fails)
    (answer,) = asked(translator, {"text": "verysecret"})
    assert "failed" in error_of(answer, 500)
    assert "internal error: RuntimeError in" in caplog.text
    assert "verysecret" not in caplog.text
