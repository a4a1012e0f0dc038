"""Figures as JSON has them, and back."""

import math
from dataclasses import fields
from typing import Any, get_args


def finite(figures: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures with None for those that are infinite or no number."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def check_types(record: Any) -> None:
    """Compares what was read with the types that the record's fields are declared with.

    Raises:
        TypeError: when one differs.
    """
    for one in fields(record):
        value, kinds = getattr(record, one.name), get_args(one.type) or (one.type,)
        whole = float in kinds and type(value) is int  # JSON may leave out the fraction.
        if one.name != "rows" and not whole and type(value) not in kinds:
            raise TypeError(f"{one.name} is {value!r}")
