"""The code of pages that say that it is run."""

import re
from pathlib import Path

import pytest

from keras_snare.criteria import CRITERIA
from keras_snare.graph.rules import RULES
from keras_snare.surgery import registration
from keras_snare.surgery.attributes import ATTRIBUTES

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def as_before(monkeypatch, tmp_path):
    """Takes back what pages register, and has them write into a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CRITERIA, "_entries", dict(CRITERIA._entries))
    tables = [(table, dict(table)) for table in (RULES, ATTRIBUTES, registration._DECLARED)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


@pytest.mark.parametrize("page", ["custom_criteria", "custom_layers", "getting_started"])
def test_the_code_runs(page, as_before, capsys):
    path = DOCS / f"{page}.md"
    blocks = BLOCK.findall(path.read_text(encoding="utf-8"))
    found = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, path.name, "exec"), found)
    assert len(blocks) > 3
    assert "keras_snare" in found
