"""Reads the docstrings of the package as they are written, for the reference."""

import re

import griffe

# Keras does not indent what follows `Example:`.
_EXAMPLE = re.compile(r"^Example:\n\n((?:>>>.*\n?|\.\.\. .*\n?|(?!\w+:$)\S.*\n?)+)", re.MULTILINE)


class Examples(griffe.Extension):
    """Shows examples as code."""

    def on_object(self, *, obj, **kwargs):
        """Puts the code of an example into a fence."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """Returns a docstring whose example is a block of code."""
    return _EXAMPLE.sub(
        lambda found: f"**Example:**\n\n```pycon\n{found[1].rstrip()}\n```\n\n", f"{docstring}\n"
    ).rstrip()
