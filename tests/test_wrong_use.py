"""What users see of the mistakes in wrong_uses.py: the whole message, from this package.

`python tests/test_wrong_use.py` writes wrong_uses.txt anew; read what changed before you commit it.
"""

import re
import tempfile
import traceback
from pathlib import Path

import keras
import pytest
from small_fits import fit, network
from state import assert_same_state, state_of
from wrong_uses import WRONG_USES

TABLE = Path(__file__).with_name("wrong_uses.txt")
PACKAGE = Path(__file__).parents[1] / "keras_snare"


def seen(name, folder):
    """The error of a mistake, as a user sees it, and what it left of the model."""
    keras.backend.clear_session()
    model = network(metrics=["accuracy"])
    fit(model, [], epochs=1)
    before = state_of(model)
    with pytest.raises(Exception, match=r".") as caught:
        WRONG_USES[name](model, Path(folder))
    text = str(caught.value).replace(str(folder), "FOLDER")
    return caught.value, re.sub(r" at 0x\w+", "", text), before, state_of(model)


def table():
    entries = TABLE.read_text(encoding="utf-8").strip().split("\n\n")
    return dict(entry.split("\n", 1) for entry in entries)


@pytest.mark.parametrize("name", WRONG_USES)
def test_a_mistake_is_told_and_changes_nothing(name, tmp_path):
    error, text, before, after = seen(name, tmp_path)
    assert f"{type(error).__name__}: {text}" == table()[name]
    assert_same_state(after, before)
    # What Keras or Python says of its own insides would be told from there.
    assert Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(PACKAGE)


def test_the_table_holds_these_mistakes_and_many():
    assert set(table()) == set(WRONG_USES)
    assert len(WRONG_USES) >= 60


if __name__ == "__main__":
    lines = []
    for mistake in WRONG_USES:
        with tempfile.TemporaryDirectory() as place:
            found, told, *_ = seen(mistake, place)
        lines.append(f"{mistake}\n{type(found).__name__}: {told}")
    TABLE.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
