"""Holds the package to its import order, its three files for Keras internals and its sizes."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "keras_snare"
ROOT = Path(__file__).resolve().parents[1] / PACKAGE
FILES = sorted(ROOT.rglob("*.py"))

# Lowest first. A part may import from its own level and from those before it.
LEVELS = (
    {"_optional", "arguments", "deprecation", "errors", "files", "records"}
    | {"replacing", "replicas"},
    {"registry", "step_hooks", "graph", "layers", "report"},
    {"schedules", "criteria", "surgery", "masking", "policy", "factorize", "quantize"},
    {"clustering", "distillation"},
    {"pruning"},
    {"search", "codec", "rate"},
    {"callbacks", "comparison", "deep_compression"},
    {"__init__"},
    {"cli", "__main__"},
)
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}

PRIVATE_NAMES = {
    "_build_shapes_dict",
    "_functional",
    "_inbound_nodes",
    "_initial_epoch",
    "_keras_history",
    "_layers",
    "_nodes",
    "_operations",
    "_outbound_nodes",
    "_shape",
    "_trainable_variables_indices",
    "_value",
}
PRIVATE_FILES = {"graph/trace.py", "surgery/variables.py", "surgery/optimizers.py"}

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40

# Each is slow to import, optional, or changes the process when imported.
LATE_IMPORTS = (
    "constriction",
    "matplotlib",
    "ray",
    "tensorflow_model_optimization",
    "tf_keras",
    "typer",
)


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_name(path): path for path in FILES}


def _part(module: str) -> str:
    """Return the folder or file right below the package, `__init__` for the package itself."""
    return [*module.split("."), "__init__"][1]


def _imported_modules(source: str, package: str, modules) -> set[str]:
    """Return the modules of ours that a source imports, wherever in it the import stands.

    Args:
        source: Python code.
        package: the package that relative imports start from.
        modules: names of all modules; `from a import b` means `a.b` if that is one, else `a`.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                parents = package.split(".")
                base = parents[: len(parents) - node.level + 1] + base
            for alias in node.names:
                full = ".".join([*base, alias.name])
                found.add(full if full in modules else ".".join(base))
        elif isinstance(node, ast.Call) and _called_name(node) == "import_module":
            # Relative names need the caller's package, so only full ones can be judged.
            found |= {argument.value for argument in node.args if _is_text(argument)}
    return {name for name in found if name.split(".")[0] == PACKAGE}


def _called_name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _private_uses(source: str) -> list[str]:
    """Return `line: name` for each private Keras name that a source uses on another's object."""
    uses = [
        (number, "keras.src")
        for number, line in enumerate(source.splitlines(), start=1)
        if "keras.src" in line
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE_NAMES:
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                uses.append((node.lineno, node.attr))
        elif isinstance(node, ast.Call) and _called_name(node).endswith("attr"):
            # getattr, setattr, hasattr and delattr reach the same names as text.
            names = [argument.value for argument in node.args[1:2] if _is_text(argument)]
            uses += [(node.lineno, name) for name in names if name in PRIVATE_NAMES]
    return [f"{number}: {name}" for number, name in sorted(uses)]


def _function_lengths(source: str) -> dict[str, int]:
    """Return the lines in the body of each function, without docstring, blanks and comments.

    The signature does not count: of a public constructor it is the list of what users may set.
    """
    lines = source.splitlines()
    lengths = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            numbers = set(range(node.body[0].lineno, node.end_lineno + 1))
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                numbers -= set(range(docstring.lineno, docstring.end_lineno + 1))
            code = [lines[number - 1].strip() for number in numbers]
            count = sum(bool(line) and not line.startswith("#") for line in code)
            lengths[f"{node.lineno}: {node.name}"] = count
    return lengths


def _imports_of(module: str) -> set[str]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _imported_modules(path.read_text(encoding="utf-8"), package, MODULES)


each_module = pytest.mark.parametrize("module", MODULES)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def test_package_is_found():
    assert PACKAGE in MODULES


@each_module
def test_module_has_a_place_in_the_import_order(module):
    assert _part(module) in LEVEL_OF, f"give {_part(module)!r} a level in LEVELS"


@each_module
def test_module_imports_nothing_higher(module):
    level = LEVEL_OF[_part(module)]
    higher = {name for name in _imports_of(module) if LEVEL_OF[_part(name)] > level}
    assert higher == set()


def test_no_import_cycle():
    graph = {module: _imports_of(module) - {module} for module in MODULES}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@each_file
def test_private_keras_names_stay_in_their_files(path):
    if path.relative_to(ROOT).as_posix() not in PRIVATE_FILES:
        assert _private_uses(path.read_text(encoding="utf-8")) == []


@each_file
def test_file_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@each_file
def test_functions_are_short(path):
    lengths = _function_lengths(path.read_text(encoding="utf-8"))
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def test_import_leaves_optional_and_slow_packages_alone():
    # Keras imports matplotlib where it is installed; forgetting that shows who else asks for it.
    script = f"""
import json, os, sys
import keras, tensorflow
late = {LATE_IMPORTS!r}
for name in [name for name in sys.modules if name.split(".")[0] in late]:
    del sys.modules[name]
legacy = os.environ.get("TF_USE_LEGACY_KERAS")
import {PACKAGE}
assert os.environ.get("TF_USE_LEGACY_KERAS") == legacy
print(json.dumps([name for name in late if name in sys.modules]))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import keras_snare.graph", {"keras_snare.graph"}),
        ("from keras_snare import graph", {"keras_snare.graph"}),
        ("from keras_snare import prune", {"keras_snare"}),
        ("from keras_snare.graph import Group", {"keras_snare.graph"}),
        ("from . import variables", {"keras_snare.surgery.variables"}),
        ("from ..graph import Group", {"keras_snare.graph"}),
        ("def f():\n    import keras_snare.search", {"keras_snare.search"}),
        ("if TYPE_CHECKING:\n    from keras_snare import search", {"keras_snare.search"}),
        ("importlib.import_module('keras_snare.search')", {"keras_snare.search"}),
        ("import keras, keras_snare_contrib", set()),
    ],
)
def test_imports_are_seen_in_every_form(source, expected):
    modules = {PACKAGE, *(f"{PACKAGE}.{n}" for n in ("graph", "search", "surgery.variables"))}
    assert _imported_modules(source, f"{PACKAGE}.surgery", modules) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("layer._inbound_nodes", ["1: _inbound_nodes"]),
        ("self.model._layers = []", ["1: _layers"]),
        ("setattr(variable, '_value', 0)", ["1: _value"]),
        ("from keras.src import ops", ["1: keras.src"]),
        ("self._layers, cls._shape, layer.shape, getattr(x, 'value')", []),
    ],
)
def test_private_names_are_seen_in_every_form(source, expected):
    assert _private_uses(source) == expected


def test_function_length_leaves_out_signature_docstring_blank_lines_and_comments():
    source = 'def f():\n    """One.\n\n    Two.\n    """\n\n    # Three.\n    return 4\n'
    assert _function_lengths(source) == {"1: f": 1}
