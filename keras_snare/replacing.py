"""Methods of single objects, replaced for a while."""

from collections.abc import Callable
from typing import Any


class Replacement:
    """Stands in for a method of one object until it ends.

    Args:
        holder: the object.
        name: of the method.
        make: called with the method; returns what stands in for it.
    """

    def __init__(self, holder: Any, name: str, make: Callable[[Callable], Callable]) -> None:
        self.holder = holder
        self.name = name
        self._before = vars(holder).get(name)
        self._mine = make(getattr(holder, name))
        # Keras would note a plain assignment as one more attribute of a model or layer.
        object.__setattr__(holder, name, self._mine)

    def end(self) -> None:
        """Puts the method back, unless somebody stands in front, who goes on to call this one."""
        if vars(self.holder).get(self.name) is not self._mine:
            return
        object.__delattr__(self.holder, self.name)
        if self._before is not None:
            object.__setattr__(self.holder, self.name, self._before)
