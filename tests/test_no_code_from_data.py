"""Nothing in the runtime packages turns data into code: no pickle, no unsafe YAML, no eval or exec. Kept rows are therefore only data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mcp_server", "rest_adapter", "projects", "storage", "client_configs")

# Modules whose loading makes objects of whatever class the data names, or runs what it holds.
MODULES = frozenset(
    ("pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "code", "codeop", "runpy", "yaml")
)
BUILTINS = frozenset(("eval", "exec", "compile", "__import__"))
# Templates and numbers with a language of their own.
LANGUAGES = frozenset(("jinja2", "mako", "RestrictedPython", "asteval", "numexpr", "simpleeval"))


def ways_to_run_data(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if _is_forbidden(name.name))
            case ast.ImportFrom(module=str(module), level=0):
                if _is_forbidden(module):
                    yield module
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield name
            case ast.Call(func=ast.Attribute(attr=attribute, value=ast.Name(id="builtins"))):
                yield f"builtins.{attribute}"
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[argument]) if not isinstance(argument, ast.Constant):
                yield "import_module of a name that is computed"
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name))]) if _is_forbidden(name):
                yield name
            case ast.Call(keywords=keywords) if any(
                _is_true(keyword, "allow_pickle") or _is_true(keyword, "shell") for keyword in keywords
            ):
                yield "allow_pickle or shell"
            case ast.Call(func=ast.Name(id="YAML"), keywords=keywords):
                kinds = [keyword.value for keyword in keywords if keyword.arg == "typ"]
                if any(not isinstance(kind, ast.Constant) or kind.value == "unsafe" for kind in kinds):
                    yield "an unsafe YAML reader"


def _is_forbidden(module: str) -> bool:
    return module.partition(".")[0] in MODULES | LANGUAGES


def _is_true(keyword: ast.keyword, name: str) -> bool:
    return keyword.arg == name and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)


def test_no_runtime_module_turns_data_into_code() -> None:
    modules = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(modules) > 200
    found = {f"{path.relative_to(ROOT)}: {way}" for path in modules for way in ways_to_run_data(path.read_text())}
    assert found == {
        # the SDKs of providers, which our own code names
        "projects/models/failures.py: import_module of a name that is computed",
        # components' texts, after the operator allowed them; and the names that they import
        "projects/custom_code/evaluation.py: compile",
        "projects/custom_code/evaluation.py: exec",
        "projects/custom_code/surface/langchain.py: import_module of a name that is computed",
        "projects/custom_code/surface/table.py: import_module of a name that is computed",
    }


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as safe",
        "from marshal import loads",
        "def f():\n    from yaml import load",
        "eval('1')",
        "exec(text)",
        "compile(text, 'x', 'exec')",
        "import builtins\nbuiltins.eval('1')",
        "import importlib\nimportlib.import_module(name)",
        "import importlib\nimportlib.import_module('pickle')",
        "numpy.load(file, allow_pickle=True)",
        "subprocess.run(command, shell=True)",
        "from ruamel.yaml import YAML\nYAML(typ='unsafe')",
        "import jinja2.sandbox",
    ],
)
def test_each_way_is_found(source: str) -> None:
    assert list(ways_to_run_data(source))


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('x')",
        "import json\njson.loads(text)",
        "YAML(typ='safe')",
        "from ruamel.yaml import YAML\nYAML()",
        "run(shell=False)",
    ],
)
def test_what_only_reads_data_is_let_through(source: str) -> None:
    assert not list(ways_to_run_data(source))
