"""Reads the docstrings of the package as they are written, for the reference."""

import re

import griffe

# Keras does not indent what follows `Example:`.
_HEADING = re.compile(r"^Example:$", re.MULTILINE)
_CODE = re.compile(r"^>>>.*\n(?:\S.*\n)*", re.MULTILINE)


class AsWritten(griffe.Extension):
    """Shows examples as code, and public names as what they are."""

    def on_package(self, *, pkg, loader, **kwargs):
        """Goes through a package that was read."""
        _show_examples(pkg)
        names = [name for name in pkg.exports or () if name in pkg.members]
        found = {name: _followed(loader, pkg.members[name], name) for name in names}
        for name, one in found.items():
            if one is not None:
                pkg.set_member(name, griffe.Alias(name, one, parent=pkg))


def fenced(docstring: str) -> str:
    """Returns a docstring whose examples are blocks of code."""
    text = _HEADING.sub("**Example:**", f"{docstring}\n")
    return _CODE.sub(lambda found: f"```pycon\n{found[0]}```\n", text).rstrip()


def _show_examples(parent):
    if parent.docstring:
        parent.docstring.value = fenced(parent.docstring.value)
    for member in parent.members.values():
        if not member.is_alias:
            _show_examples(member)


def _followed(loader, member, name):
    """What a public name stands for: a function, where a module that holds it has the same name."""
    while member.is_alias or (member.is_module and name in member.members):
        if not member.is_alias:
            member = member.members[name]
            continue
        try:
            member = loader.modules_collection[member.target_path]
        except KeyError:  # Of another package.
            return None
    return None if member.is_module else member
