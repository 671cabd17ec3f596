"""The documentation page of all artifacts' schemas: a table for each artifact and for each shared part."""

from collections.abc import Iterator
from typing import Any

from hat.config.documents import PART_ANCHOR, words_of
from hat.schemas.catalogue import ARTIFACTS, Artifact

INTRODUCTION = """# Schemas of artifacts

This page is generated from the code and describes every JSON artifact below `results/`. Words in capitals are
placeholders for names. `hat artifacts check` validates your artifacts, and `hat artifacts schema NAME` prints a JSON
schema (draft 2020-12). Artifacts have no keys other than those listed. Optional keys are omitted if they do not apply.
"""


def page() -> str:
    """Return the page in Markdown."""
    parts: dict[str, dict[str, Any]] = {}
    lines = [INTRODUCTION, "| artifact | what |", "| --- | --- |"]
    lines += [f"| [{one.name}](#{one.name}) | {one.what} |" for one in ARTIFACTS]
    for one in ARTIFACTS:
        lines += _section(one, parts)
    lines += ["", "## Parts", "", "Objects inside artifacts, with their keys."]
    for name, schema in sorted(parts.items()):
        paragraphs = schema.get("description", "").partition("Raises:")[0].split("\n\n")
        prose = [" ".join(part.split()).replace("``", "`") for part in paragraphs]
        heading = f"### {name} {{#{PART_ANCHOR}{name.lower()}}}"
        lines += ["", heading, *(line for part in prose if part for line in ("", part)), "", *_table(schema)]
    return "\n".join(lines) + "\n"


def _section(one: Artifact, parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    schema = one.schema()
    for name, part in schema.get("$defs", {}).items():
        if parts.setdefault(name, part) != part:
            raise ValueError(f"two different parts of artifacts have the name {name}")
    yield from ("", f"## {one.name}", "", one.what, "")
    yield from (f"- `results/{file}`" for file in one.files)
    yield f"- JSON schema{' of a row' if one.lines else ''}: [{one.name}.json](schemas/{one.name}.json)"
    kinds = schema.get("anyOf") or schema.get("oneOf") or [schema]
    for number, kind in enumerate(kinds):
        own = parts[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
        if len(kinds) > 1:
            first = one.header is not None and number == 0
            title = "The first row" if first else f"Rows: {own['description'].rstrip('.').lower()}"
            yield from ("", f"{title}:")
        yield from ("", *_table(own))


def _table(schema: dict[str, Any]) -> Iterator[str]:
    yield from ("| key | type | meaning |", "| --- | --- | --- |")
    required = set(schema.get("required", ()))
    for key, value in schema.get("properties", {}).items():
        meaning = value.get("description", "") + ("" if key in required else " (optional)")
        kind = words_of({name: entry for name, entry in value.items() if name != "description"}).replace("|", "\\|")
        yield f"| `{key}` | {kind} | {meaning.strip()} |"
