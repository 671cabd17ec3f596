"""The order of the packages of hat/: each imports only those before it, and no files import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import hat

FOLDER = Path(hat.__file__).parent
ORDER = (
    *("errors", "artifacts", "system", "config", "space", "data", "model", "runtime", "train", "shortlist"),
    *("deploy", "measure", "device", "latency", "search", "evaluate", "published", "schemas", "workflow"),
    *("report", "serve", "cli"),
)
# Entry points that hand over to a package, and what fairseq imports.
APART = ("hat", "hat.__main__", "hat.fairseq_plugin", "hat.fairseq_plugin.model")


def modules():
    for path in FOLDER.rglob("*.py"):
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imported(path):
    """Modules of the project that a file imports, lazily or for type checking alone included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names if node.module in MODULES)


GRAPH = {name: {*imported(path)} - {"hat"} for name, path in MODULES.items() if name not in APART}


def rank(module):
    return ORDER.index(module.split(".")[1])


def test_every_package_has_its_place():
    assert {name.split(".")[1] for name in GRAPH} == {*ORDER}


def test_packages_import_only_those_before_them():
    assert [f"{name} -> {other}" for name in GRAPH for other in GRAPH[name] if rank(other) > rank(name)] == []


def test_no_files_import_each_other_in_a_circle():
    order = list(TopologicalSorter(GRAPH).static_order())
    assert len(order) == len(GRAPH)
