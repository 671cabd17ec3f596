"""Resumable downloads from web servers, with this machine's certificates and the credentials in the address."""

import base64
import contextlib
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hat.artifacts.files import disk_error
from hat.system.progress import progress

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 60.0
ATTEMPTS = 4
FIRST_PAUSE_S = 1.0
MEGABYTE = 1 << 20
Result = TypeVar("Result")


class TransferError(Exception):
    """A transfer failed; ``transient`` tells whether the same address may work later."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


@dataclass(frozen=True)
class Transfer:
    """Downloads files, with timeouts and retries.

    Attributes:
        timeout_s: longest wait for data from a server.
        attempts: attempts per address if failures may be transient.
        pause_s: pause before the second attempt; doubles before each further one.
        sleep: function that pauses.
    """

    timeout_s: float = TIMEOUT_S
    attempts: int = ATTEMPTS
    pause_s: float = FIRST_PAUSE_S
    sleep: Callable[[float], None] = field(default=time.sleep)

    def read(self, url: str, accept: str) -> tuple[bytes, str, str]:
        """Return the body, content type and final address of a small page.

        Raises:
            TransferError: the last attempt failed.
        """

        def attempt() -> tuple[bytes, str, str]:
            with _open(url, {"Accept": accept}, self.timeout_s) as reply:
                body: bytes = reply.read()
                return body, str(reply.headers.get("Content-Type", "")), str(reply.geturl())

        return self._retry(attempt)

    def into(self, url: str, part: Path, *, size: int | None, pinned: bool) -> None:
        """Complete ``part`` from ``url``, continuing from its present content if the server allows that.

        Args:
            url: address of the file.
            part: unfinished file; kept after a failure, so that it can be continued.
            size: size in bytes. Default: as the server says.
            pinned: whether the caller verifies a known checksum, so that a part from another address can be continued.

        Raises:
            TransferError: the last attempt failed.
            HatError: the disk is full or the folder is not writable.
        """
        self._retry(lambda: _continue(url, part, size, pinned, self.timeout_s))

    def _retry(self, attempt: Callable[[], Result]) -> Result:
        pause_s = self.pause_s
        for left in range(self.attempts - 1, -1, -1):
            try:
                return attempt()
            except TransferError as error:
                if not error.transient or not left:
                    raise
            self.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("attempts is at least one")


def without_credentials(url: str) -> str:
    """Return an address without user and password, so that it can be shown."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open(url: str, headers: dict[str, str], timeout_s: float) -> Any:
    """Open ``url``, sending the user and password inside it as a header."""
    parts = urllib.parse.urlsplit(url)
    if parts.username is not None:
        user = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers = headers | {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    request = urllib.request.Request(without_credentials(url), headers={"User-Agent": "hat"} | headers)
    try:
        return urllib.request.urlopen(request, timeout=timeout_s, context=_trust())
    except urllib.error.HTTPError as error:
        transient = error.code >= 500 or error.code in (408, 425, 429)
        if error.code == 416:
            raise
        error.close()
        raise TransferError(f"status {error.code} ({error.reason})", transient=transient) from None
    except urllib.error.URLError as error:
        reason = error.reason
        certificate = isinstance(reason, ssl.SSLCertVerificationError)
        text = str(getattr(reason, "strerror", None) or reason)
        raise TransferError(text, transient=not certificate) from None
    except (http.client.HTTPException, OSError) as error:
        raise TransferError(str(error) or type(error).__name__, transient=True) from None
    except ValueError as error:
        raise TransferError(str(error), transient=False) from None


def _trust() -> ssl.SSLContext:
    """Trust the system's certificates (OpenSSL reads SSL_CERT_FILE itself) and those configured for pip or requests."""
    context = ssl.create_default_context()
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        bundle = os.environ.get(name, "")
        if Path(bundle).is_file():
            with contextlib.suppress(ssl.SSLError, OSError):
                context.load_verify_locations(bundle)
    return context


def _continue(url: str, part: Path, size: int | None, pinned: bool, timeout_s: float) -> None:
    """Make one attempt of ``Transfer.into``."""
    note = part.with_name(part.name + ".json")
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have == size and pinned:
        return
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if not pinned:
            # Without a checksum, the rest of a changed file must not be appended to the old beginning.
            validator = _validator(note, url)
            if validator is None:
                have = 0
                del headers["Range"]
            else:
                headers["If-Range"] = validator
    try:
        reply = _open(url, headers, timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if pinned and error.headers.get("Content-Range") == f"bytes */{have}":
            return  # the part is complete already; the caller verifies the checksum
        part.unlink(missing_ok=True)
        raise TransferError("the server refused to continue the unfinished file", transient=True) from None
    with reply:
        offset = have if reply.status == 206 and _starts_at(reply, have) else 0
        if reply.status == 206 and not offset and have:
            part.unlink(missing_ok=True)
            raise TransferError("the server sent a different range than requested", transient=True)
        length = reply.headers.get("Content-Length")
        total = size or (offset + int(length) if length is not None else None)
        note.write_text(json.dumps({"url": url, "validator": _identity(reply)}), encoding="utf-8")
        received = _receive(reply, part, offset, total)
    if total is not None and received != total:
        if received > total:
            part.unlink(missing_ok=True)
        raise TransferError(f"ended after {received} of {total} bytes", transient=True)
    note.unlink(missing_ok=True)


def _receive(reply: Any, part: Path, offset: int, total: int | None) -> int:
    """Write the body into ``part`` from ``offset``; return the size of the file afterwards."""
    title = f"Downloading {part.name.removesuffix('.part')} (MB)"
    try:
        with open(part, "r+b" if offset else "wb") as stream, progress(title, (total or 0) // MEGABYTE) as show:
            stream.seek(offset)
            stream.truncate()
            while True:
                try:
                    chunk = reply.read1(CHUNK_BYTES)
                except (http.client.HTTPException, OSError) as error:
                    stream.flush()
                    message = f"interrupted after {stream.tell()} bytes ({str(error) or type(error).__name__})"
                    raise TransferError(message, transient=True) from None
                if not chunk:
                    return stream.tell()
                stream.write(chunk)
                show(stream.tell() // MEGABYTE)
    except OSError as error:
        if (failure := disk_error(error, part)) is not None:
            raise failure from None
        raise


def _starts_at(reply: Any, offset: int) -> bool:
    return str(reply.headers.get("Content-Range", "")).startswith(f"bytes {offset}-")


def _identity(reply: Any) -> str | None:
    """Return the validator of this content for If-Range: a strong ETag, or the Last-Modified date."""
    tag = reply.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    date = reply.headers.get("Last-Modified")
    return str(date) if date else None


def _validator(note: Path, url: str) -> str | None:
    try:
        saved = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    value = saved.get("validator") if isinstance(saved, dict) and saved.get("url") == url else None
    return value if isinstance(value, str) else None
