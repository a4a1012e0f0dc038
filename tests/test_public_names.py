"""No public name or argument vanishes unseen.

`python tests/test_public_names.py` writes the list anew.
"""

import inspect
from pathlib import Path

from public import methods_of, parameters_of, public_objects

LIST = Path(__file__).with_name("public_names.txt")


def signature(name, function):
    return f"{name}({', '.join(parameter.name for parameter in parameters_of(function))})"


def lines_of(name, value):
    if not inspect.isclass(value):
        return [signature(name, value)] if callable(value) else [name]
    lines = [name if issubclass(value, Exception) else signature(name, value)]
    for method, function in methods_of(value).items():
        if method != "__init__":
            lines.append(signature(f"{name}.{method}", function))
    return lines


def current():
    return sorted(
        line for name, value in public_objects().items() for line in lines_of(name, value)
    )


def test_the_list_is_that_of_the_package():
    listed = LIST.read_text(encoding="utf-8").splitlines()
    found = current()
    gone = set(listed) - set(found)
    assert gone == set(), "public names are deprecated (docs/deprecation.md), not dropped"
    assert found == listed, "write the list anew by: python tests/test_public_names.py"


def test_the_list_holds_what_users_call():
    names = {line.split("(")[0] for line in LIST.read_text(encoding="utf-8").splitlines()}
    assert {"SnareCallback", "compress", "quantize.to_litert", "Masks.load"} <= names


if __name__ == "__main__":
    LIST.write_text("\n".join(current()) + "\n", encoding="utf-8")
