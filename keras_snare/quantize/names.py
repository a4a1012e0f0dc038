"""Names that TensorFlow allows, each once."""

import re


class Names:
    """Gives names that TensorFlow allows, each once; it takes `A` for the same as `a`."""

    def __init__(self):
        self._given: set[str] = set()

    def new(self, wanted: str) -> str:
        """The name that is wanted, or the next one like it."""
        base, number = cleaned(wanted), 0
        name = base
        while name.lower() in self._given:
            number += 1
            name = f"{base}_{number}"
        self._given.add(name.lower())
        return name


def cleaned(name: str) -> str:
    """The name without what TensorFlow does not allow."""
    found = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return found if re.match(r"[A-Za-z0-9.]", found) else f"layer{found}"
