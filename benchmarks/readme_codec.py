"""The section on packed files of the page that `make_readme.py` writes."""

from typing import Any

PATH = "benchmarks/results/codec.json"
TEXT = """Bytes of a trained network with a loss of at most 0.1 and at most 1.0 points of
validation accuracy, and the test accuracy of what is read back, per cent. Each way has one setting,
tried from fine to coarse. Files of `pack` are whole, with the model's configuration; the other
figures are those of the weights alone. JPEG stores the first kernel, one picture for each column or
one of all of them, the rest as float32."""
_LOSSES = ("0.001", "0.01")


def codec_lines(found: dict[str, Any]) -> list[str]:
    """What `codec.json` says."""
    lines = ["", "## Files of few bytes", "", f"`{found['command'].replace('FILE', PATH)}`", ""]
    lines += [TEXT]
    for name, rows in found["networks"].items():
        base = f"float32 {rows['float32']:,} bytes, gzip {rows['gzip']:,}, test accuracy "
        lines += ["", f"### {name}", "", f"{base}{100 * rows['test']:.2f} %.", ""]
        lines += ["| way | 0.1 points | test | 1.0 points | test |", "|" + "---|" * 5]
        ways = {way: row for way, row in rows.items() if isinstance(row, dict)}
        lines += [_row(way, row) for way, row in ways.items()]
        lines += ["", _speed(rows["keras_snare"], rows["float32"])]
    return lines


def _row(way: str, row: dict[str, Any]) -> str:
    cells = [f"`{way}`" if way == "keras_snare" else way]
    for loss in _LOSSES:
        one = row.get(loss)
        cells += [f"{one['bytes']:,}", f"{100 * one['test']:.2f}"] if one else ["-", "-"]
    return f"| {' | '.join(cells)} |"


def _speed(rows: dict[str, Any], size: int) -> str:
    exact, lossy = rows["None"], rows["0.001"]
    return (
        f"Bit for bit `pack` takes {exact['bytes']:,} bytes of {size:,}, at "
        f"{exact['pack_megabytes_per_second']} MB of float32 a second; unpacking goes at "
        f"{exact['unpack_megabytes_per_second']} MB/s, of the rounded file at "
        f"{lossy['unpack_megabytes_per_second']} MB/s. The search for the rounded file took "
        f"{lossy['pack_seconds']:.0f} s. Header {lossy['header']} bytes, configuration "
        f"{lossy['configuration']}."
    )
