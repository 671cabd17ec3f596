"""The schemas of all artifacts as one page: a table for each, and one for each part that they share."""

from collections.abc import Iterator
from typing import Any

from hat.config.documents import PART_ANCHOR, words_of
from hat.schemas.catalogue import ARTIFACTS, Artifact

INTRODUCTION = """# Schemas of artifacts

Made from `hat` itself: what every JSON artifact below `results/` holds. Words in capitals stand for a name each.
`hat artifacts check` compares your artifacts with these schemas, and `hat artifacts schema NAME` prints a JSON schema
(draft 2020-12). An artifact has no key that its schema does not have; keys that are not always there are left out where
they say nothing.
"""


def page() -> str:
    """The page, in Markdown."""
    parts: dict[str, dict[str, Any]] = {}
    lines = [INTRODUCTION, "| artifact | what |", "| --- | --- |"]
    lines += [f"| [{one.name}](#{one.name}) | {one.what} |" for one in ARTIFACTS]
    for one in ARTIFACTS:
        lines += _section(one, parts)
    lines += ["", "## Parts", "", "What artifacts hold that has keys of its own."]
    for name, schema in sorted(parts.items()):
        said = schema.get("description", "").partition("Raises:")[0].split("\n\n")
        prose = [" ".join(part.split()).replace("``", "`") for part in said]
        heading = f"### {name} {{#{PART_ANCHOR}{name.lower()}}}"
        lines += ["", heading, *(line for part in prose if part for line in ("", part)), "", *_table(schema)]
    return "\n".join(lines) + "\n"


def _section(one: Artifact, parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    schema = one.schema()
    for name, part in schema.get("$defs", {}).items():
        if parts.setdefault(name, part) != part:
            raise ValueError(f"two different parts of artifacts are called {name}")
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
        meaning = value.get("description", "") + ("" if key in required else " (not always there)")
        kind = words_of({name: entry for name, entry in value.items() if name != "description"}).replace("|", "\\|")
        yield f"| `{key}` | {kind} | {meaning.strip()} |"
