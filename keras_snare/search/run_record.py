"""What the record of a run has to hold: it is looked at before anything of it is used."""

from pathlib import Path
from types import NoneType
from typing import Any

from keras_snare.errors import SnapshotError
from keras_snare.report import CompressionReport

# A shape is a type, a tuple of shapes of which one has to fit, a list of the shape of its entries,
# or a dictionary of what has to be there, but for names with a question mark; {str: shape} is any
# dictionary of such values.
_NUMBER = (int, float)
_WHOLE = {"array": str, "dtype": str}
_ARRAY = {**_WHOLE, "take?": [(_WHOLE, NoneType)]}
_VALUES = {"names": [str], "values": [_ARRAY]}
_KEEP = {str: [int]}
_STATISTICS = ({str: _ARRAY}, NoneType)
_ACCEPTED = {
    "trial": int,
    "metric": (*_NUMBER, NoneType),
    "params": int,
    "flops": int,
    "keep": _KEEP,
    "names": ([str], NoneType),  # None where the network made room for others.
    "values": ([_ARRAY], NoneType),
}
_RECORD = {
    "settings": {"mode": str, "prune_inputs": bool},
    "base": str,
    "model": (dict, NoneType),
    "epoch": int,
    "warmup": int,
    "tuning": int,
    "search": (
        {
            "policy": {"steps": {str: _NUMBER}, "trials": int},
            "report": str,
            "statistics": _STATISTICS,
        },
        NoneType,
    ),
    "network": {"keep": _KEEP, "fingerprint": str, **_VALUES},
    "best": (
        {"metric": (*_NUMBER, NoneType), "statistics": _STATISTICS, **_VALUES},
        NoneType,
    ),
    "accepted": [_ACCEPTED],
    "random": [_ARRAY],
}


def check_record(record: Any, file: Path) -> None:
    """Checks that a record says all that a run goes on from.

    Args:
        record: as it was read; its checksum may be right, and something may be missing all the
            same, in a file that was written by hand.
        file: where it was read.

    Raises:
        SnapshotError: when it does not.
    """
    amiss = _amiss(record, _RECORD, "run")
    if amiss is None and record["search"] is not None:
        try:
            CompressionReport.from_json(record["search"]["report"])
        except ValueError as error:
            amiss = str(error)
    if amiss is None and record["search"] is not None and not record["accepted"]:
        amiss = "run.accepted is empty, and the search has begun"
    if amiss is not None:
        raise SnapshotError(
            f"{file} is damaged ({amiss}). Restore the file from a copy, or give an empty "
            "directory to begin anew."
        )


def _amiss(value: Any, shape: Any, place: str) -> str | None:
    """What is wrong with a value, or None."""
    if isinstance(shape, tuple):
        found = [_amiss(value, one, place) for one in shape]
        # Of a list or a dictionary, what is wrong inside says more than that it is no number.
        return None if None in found else next((one for one in found if one), None)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place} is no list"
        entries = ((one, shape[0], f"{place}[{at}]") for at, one in enumerate(value))
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{place} is no object"
        named = dict.fromkeys(value, shape[str]) if str in shape else shape
        for name in named:
            if name not in value and not name.endswith("?"):
                return f"{place}.{name} is missing"
        there = ((name.removesuffix("?"), one) for name, one in named.items())
        entries = ((value[name], one, f"{place}.{name}") for name, one in there if name in value)
    else:
        truth = isinstance(value, bool) and shape is not bool
        return None if isinstance(value, shape) and not truth else f"{place} is {value!r:.40}"
    return next((amiss for entry in entries if (amiss := _amiss(*entry)) is not None), None)
