"""Every example runs in its short mode, and becomes a notebook that holds the same code."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONVERTER = ROOT / "examples" / "to_notebook.py"
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {CONVERTER})

specification = importlib.util.spec_from_file_location("to_notebook", CONVERTER)
to_notebook = importlib.util.module_from_spec(specification)
specification.loader.exec_module(to_notebook)

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


@each_example
def test_header_has_all_fields(path):
    fields = to_notebook.header(path.read_text(encoding="utf-8"))
    assert list(fields) == list(to_notebook.HEADER)
    assert all(fields.values())


@each_example
def test_listed_in_the_documentation(path):
    assert f"[{path.name}](../examples/{path.name})" in (ROOT / "docs" / "examples.md").read_text()


@each_example
def test_asserts_its_result(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.Assert) for node in tree.body)


@each_example
def test_notebook_holds_the_code_of_the_script(path, tmp_path):
    made = tmp_path / "example.ipynb"
    subprocess.run([sys.executable, str(CONVERTER), str(path), str(made)], check=True)
    notebook = json.loads(made.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    found = notebook["cells"]
    assert len({cell["id"] for cell in found}) == len(found)
    code = [cell for cell in found if cell["cell_type"] == "code"]
    text = [cell for cell in found if cell["cell_type"] == "markdown"]
    assert len(code) + len(text) == len(found)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)

    script = ast.parse(path.read_text(encoding="utf-8")).body
    is_text = [
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for node in script
    ]
    statements = [node for node, no_code in zip(script, is_text, strict=True) if not no_code]
    joined = ast.parse("\n".join("".join(cell["source"]) for cell in code)).body
    assert [ast.dump(node) for node in joined] == [ast.dump(node) for node in statements]
    assert len(text) == sum(is_text)


def test_docstring_in_a_function_is_code():
    source = '"""\nText\n"""\n\ndef one():\n    """Doc."""\n\n\n"""\nMore\n"""\n'
    assert to_notebook.cells(source) == [
        ("markdown", "Text"),
        ("code", 'def one():\n    """Doc."""'),
        ("markdown", "More"),
    ]


def test_script_without_a_header_is_refused():
    with pytest.raises(ValueError, match="Missing: Author, Date created"):
        to_notebook.notebook('"""\nTitle: One\n"""\n')


@pytest.mark.slow
@each_example
def test_runs_in_short_mode(path, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KERAS_SNARE_EXAMPLE_SHORT": "1",
    }
    result = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert not list(tmp_path.iterdir()), "an example leaves no files"
