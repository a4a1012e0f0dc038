"""The section on long searches of the page that `make_readme.py` writes."""

from typing import Any

PATH = "benchmarks/results/long_run.json"
TEXT = """The dense layers of VGG16 ({widths}) on made data, trained by Adam in float32. The model
with its optimizer is {saved} as a file of `model.save`, {bare} without. Resident memory, with
TensorFlow and the data, and the bytes of the directory, with files that are being written, are
looked at without a break; "peak" is the most since the verdict before. GB are 10^9 bytes."""


def long_run_lines(found: dict[str, Any]) -> list[str]:
    """What `long_run.json` says."""
    courses = found["courses"]
    saved = next(iter(courses.values()))["saved_bytes"]
    text = TEXT.format(
        widths=" - ".join(f"{width:,}" for width in found["widths"]),
        saved=_size(saved["with_optimizer"]),
        bare=_size(saved["without_optimizer"]),
    )
    lines = ["", "## Searches of many trials", ""]
    lines += [f"`{one['command'].replace('FILE', PATH)}`  " for one in courses.values()]
    settings = ", ".join(f"{key}={value}" for key, value in found["settings"].items())
    lines += ["", text, "", f"`compress({settings})`", ""]
    heads = ["course", "trial", "parameters", "resident", "peak", "directory", "peak", "seconds"]
    lines += [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, course in courses.items():
        lines += [_row(name, row) for row in course["rows"]]
    lines.append("")
    for name, course in courses.items():
        lines.append(
            f"- {name}: {course['trials']} trials, {course['accepted']} accepted, "
            f"{course['accepted_after_training']} of them after training; resident before "
            f"{_size(course['resident_before'])}, at most {_size(course['resident_peak'])}; "
            f"directory at most {_size(course['disk_peak'])}, "
            f"{course['disk_peak_over_base']:.2f} times the model with its optimizer."
        )
    return lines


def _row(name: str, row: dict[str, Any]) -> str:
    sizes = [_size(row[key]) for key in ("resident", "resident_peak", "disk", "disk_peak")]
    cells = [name, str(row["trial"]), f"{row['params']:,}", *sizes, f"{row['seconds']:.0f}"]
    return f"| {' | '.join(cells)} |"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
