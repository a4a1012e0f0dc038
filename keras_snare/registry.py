"""One kind of name table for every family: criteria, layer rules, policies."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

Entry = TypeVar("Entry")
Made = TypeVar("Made")


class Registry(Generic[Entry]):
    """Names for the members of one family, so that a string can stand for an object.

    Args:
        family: str. What the members are, in the singular; used in messages.

    Example:

    >>> criteria = Registry("criterion")
    >>> criteria.register("mine", object)
    >>> criteria.get("mine") is object
    True
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._entries: dict[str, Entry] = {}

    def register(self, name: str, entry: Entry) -> None:
        """Adds `entry` under `name`.

        Raises:
            ValueError: when `name` is empty, not a string, or stands for another entry.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"A {self.family} is registered under a non-empty string. Received: name={name!r}"
            )
        if name in self._entries and self._entries[name] is not entry:
            raise ValueError(
                f"A {self.family} named {name!r} is registered already. Choose another name."
            )
        self._entries[name] = entry

    def get(self, name: str) -> Entry:
        """Returns the entry called `name`.

        Raises:
            ValueError: when there is none; the message lists the known names.
        """
        if name not in self._entries:
            raise ValueError(
                f"Unknown {self.family}. Received: {name!r}. Known: {', '.join(self.names())}."
            )
        return self._entries[name]

    def make(self, given: Any, kind: type[Made], argument: str, other: str) -> Made:
        """Returns an object: one made by the entry of that name, or the given one itself.

        Args:
            given: a name, or an object.
            kind: type of such an object.
            argument: str, name of the argument that was given, for messages.
            other: str, what may be given instead of a name, for messages.

        Raises:
            ValueError: when there is no entry of that name.
            TypeError: when `given` is neither a name nor of that type.
        """
        if isinstance(given, str):
            return cast(Callable[[], Made], self.get(given))()
        if not isinstance(given, kind):
            raise TypeError(
                f"`{argument}` is a name ({', '.join(self.names())}) or {other}. "
                f"Received: {given!r}"
            )
        return given

    def names(self) -> list[str]:
        """Returns the registered names in alphabetical order."""
        return sorted(self._entries)
