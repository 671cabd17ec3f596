"""Finding a wheel on the package indexes that pip is configured to use, by their simple API (PEP 503, PEP 691)."""

import configparser
import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

from hat.data.sources.web import Transfer, TransferError, without_credentials

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


def configured_indexes() -> list[str]:
    """Return the addresses of the package indexes that pip would use, the main one first.

    Environment variables take precedence over configuration files, as for pip. Local folders are omitted.
    """
    settings: dict[str, str] = {}
    for path in _configuration_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                settings.update(parser.items(section))
    main = os.environ.get("PIP_INDEX_URL") or settings.get("index-url") or _default_index()
    extra = os.environ.get("PIP_EXTRA_INDEX_URL") or settings.get("extra-index-url") or ""
    return [url.rstrip("/") for url in (main, *extra.split()) if url.startswith(("http://", "https://"))]


def _default_index() -> str:
    """Return the default index of the installed pip; empty if pip is not installed."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        return ""
    return str(PyPI.simple_url)


def _configuration_files() -> list[Path]:
    shared = [Path(folder) / "pip/pip.conf" for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    files = [*shared, Path("/etc/pip.conf"), Path.home() / ".pip/pip.conf", own / "pip/pip.conf"]
    files.append(Path(sys.prefix) / "pip.conf")
    if chosen := os.environ.get("PIP_CONFIG_FILE"):
        files.append(Path(chosen))
    return files


def wheel_urls(package: str, version: str, sha256: str, transfer: Transfer) -> tuple[list[str], list[str]]:
    """Return the addresses of a wheel, and the failures on the way.

    Args:
        package: name of the package.
        version: exact version.
        sha256: SHA-256 of the wheel, which selects among the wheels of a version.
        transfer: timeouts and retries.
    """
    urls: list[str] = []
    failures: list[str] = []
    name = re.sub(r"[-_.]+", "-", package).lower()
    for index in configured_indexes():
        page = f"{index}/{name}/"
        try:
            body, kind, final = transfer.read(page, ACCEPT)
            # Addresses are relative to the final address of the page. Without a redirect this keeps the credentials.
            links = _links(body, kind, page if final == without_credentials(page) else final)
        except (TransferError, ValueError) as error:
            failures.append(f"{without_credentials(page)}: {error}")
            continue
        matching = [link for link in links if _is_wheel(link[0], name, version) and link[2] in (None, sha256)]
        urls.extend(_with_credentials(url, index) for _, url, _ in matching)
        if not matching:
            failures.append(f"{without_credentials(page)}: no wheel of version {version} with that checksum")
    return urls, failures


def _with_credentials(url: str, index: str) -> str:
    """Return ``url`` with the user and password of the index if both are on the same server, as pip does."""
    file, page = urlsplit(url), urlsplit(index)
    if "@" in page.netloc and "@" not in file.netloc and file.hostname == page.hostname and file.port == page.port:
        return file._replace(netloc=page.netloc).geturl()
    return url


def _is_wheel(filename: str, package: str, version: str) -> bool:
    parts = filename.removesuffix(".whl").split("-")
    named = re.sub(r"[-_.]+", "-", parts[0]).lower()
    return filename.endswith(".whl") and len(parts) >= 5 and named == package and parts[1] == version


def _links(body: bytes, kind: str, page: str) -> list[tuple[str, str, str | None]]:
    """Return the name, address and SHA-256 (None if not given) of each file on a package's page."""
    if kind.startswith("application/vnd.pypi.simple.v1+json"):
        files = json.loads(body)["files"]
        return [(file["filename"], urljoin(page, file["url"]), file["hashes"].get("sha256")) for file in files]
    anchors = _Anchors()
    anchors.feed(body.decode("utf-8", errors="replace"))
    found = []
    for target in anchors.targets:
        url, fragment = urldefrag(urljoin(page, target))
        checksum = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        found.append((url.rpartition("/")[2], url, checksum))
    return found


class _Anchors(HTMLParser):
    """Collects the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the ``href`` of an ``a``."""
        self.targets.extend(value for key, value in attrs if tag == "a" and key == "href" and value)
