"""Figures as JSON has them, and back."""

import math
from dataclasses import fields
from typing import Any, get_args, get_origin


def finite(figures: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures with None for those that are infinite or no number, also in lists."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(entry) for entry in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: one(value) for name, value in figures.items()}


def check_types(record: Any) -> None:
    """Compares what was read with the types that the record's fields are declared with.

    Raises:
        TypeError: when one differs.
    """
    for one in fields(record):
        value, kinds = getattr(record, one.name), get_args(one.type) or (one.type,)
        if one.name in ("rows", "layers"):  # They are looked at one by one.
            continue
        values = [value]
        if get_origin(one.type) is list:
            if type(value) is not list:
                raise TypeError(f"{one.name} is {value!r}")
            values = value
        for entry in values:
            whole = float in kinds and type(entry) is int  # JSON may leave out the fraction.
            if not whole and type(entry) not in kinds:
                raise TypeError(f"{one.name} is {value!r}")
