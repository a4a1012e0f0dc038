"""Makes a notebook of an example: text in triple quotes becomes Markdown, the rest code.

    python examples/to_notebook.py examples/compress_digits.py compress_digits.ipynb

Cells are the statements of the script's top level that stand between such texts. A docstring within
a function or class is code.
"""

import argparse
import ast
import json
from pathlib import Path

HEADER = ("Title", "Author", "Date created", "Last modified", "Description", "Accelerator")


def header(source: str) -> dict[str, str]:
    """The fields of the text that a script begins with."""
    text = ast.get_docstring(ast.parse(source)) or ""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {name: value.strip() for name, separator, value in pairs if separator}


def cells(source: str) -> list[tuple[str, str]]:
    """The script's cells in their order, each `("markdown" or "code", text)`."""
    lines, found, end = source.splitlines(), [], 0

    def add_code(last: int) -> None:
        code = "\n".join(lines[end:last]).strip("\n")
        if code:
            found.append(("code", code))

    for node in ast.parse(source).body:
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        if not isinstance(node.value.value, str):
            continue
        add_code(node.lineno - 1)
        found.append(("markdown", node.value.value.strip("\n")))
        end = node.end_lineno
    add_code(len(lines))
    return found


def notebook(source: str) -> dict:
    """The script as a notebook of format 4.5; the header becomes its title.

    Raises:
        ValueError: when the script does not begin with a header.
    """
    fields = header(source)
    missing = [name for name in HEADER if name not in fields]
    if missing:
        raise ValueError(
            f"An example begins with a text of {', '.join(HEADER)}. Missing: {', '.join(missing)}."
        )
    title = [f"# {fields['Title']}", ""]
    title += [f"**{name}:** {fields[name]}<br>" for name in HEADER[1:]]
    made = [("markdown", "\n".join(title)), *cells(source)[1:]]
    return {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(made)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int, kind: str, text: str) -> dict:
    cell = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def main() -> None:
    """Writes one notebook."""
    parser = argparse.ArgumentParser(description="Makes a notebook of an example.")
    parser.add_argument("script", type=Path)
    parser.add_argument("notebook", type=Path)
    arguments = parser.parse_args()
    made = notebook(arguments.script.read_text(encoding="utf-8"))
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    arguments.notebook.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
