"""A report as one page of HTML that needs nothing else."""

import math
from collections.abc import Iterable
from html import escape
from typing import Any

TITLES = {
    "metric": "Metric of each trial",
    "size": "Parameters of each trial",
    "pareto": "Accepted networks: metric against parameters",
    "widths": "Units per layer, left and gone",
    "params": "Where the parameters went",
    "flops": "Where the FLOPs went",
}

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c2126; --soft: #5b6670; --line: #d8dde2;
  --card: #f5f7f9; --yes: #15803d; --no: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --back: #14181c; --text: #e6eaee; --soft: #9aa5b0;
  --line: #333b43; --card: #1c2227; --yes: #4ade80; --no: #f48c85; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 1rem; background: var(--back);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.tiles, .figures { display: grid; gap: 1rem; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.figures { grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); }
.tiles div, figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .75rem; margin: 0; min-width: 0; }
.tiles b { display: block; font-size: 1.25rem; } .tiles span { color: var(--soft); }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: system-ui, sans-serif !important; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
th { background: var(--card); } .text { text-align: left; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid currentColor; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.yes { color: var(--yes); } .no { color: var(--no); }
"""

_SCRIPT = """
function sort(table, column, down) {
  const heads = table.tHead.rows[0].cells, body = table.tBodies[0];
  const key = row => row.cells[column].dataset.value;
  const order = (a, b) => {
    const x = Number(key(a)), y = Number(key(b));
    if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
    const least = isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
    return down ? -least : least;
  };
  [...body.rows].sort(order).forEach(row => body.append(row));
  [...heads].forEach(head => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
}
for (const table of document.querySelectorAll("table"))
  [...table.tHead.rows[0].cells].forEach((head, column) =>
    head.firstElementChild.addEventListener("click", () =>
      sort(table, column, head.getAttribute("aria-sort") === "ascending")));
// report.html#sort=trials,6,down shows a table sorted by a column, counted from 0.
const asked = /^#sort=(\\w+),(\\d+)(,down)?$/.exec(location.hash);
const table = asked && document.getElementById(asked[1]);
if (table && table.tHead && table.tHead.rows[0].cells[asked[2]])
  sort(table, Number(asked[2]), Boolean(asked[3]));
document.documentElement.dataset.ready = "yes";
"""

# The page itself says that nothing is to be loaded from anywhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(report, drawings: dict[str, str]) -> str:
    """Returns a report as the text of a page.

    Args:
        report: `CompressionReport`.
        drawings: name of a figure to its SVG element.
    """
    figures = "".join(
        f'<figure role="img" aria-label="{escape(TITLES[name])}">{drawing}</figure>'
        for name, drawing in drawings.items()
    )
    tables = [_trials(report), _candidates(report)]
    if report.layers:
        tables.append(_layers(report))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Compression report</title><style>{_STYLE}</style></head>\n<body>"
        f'<h1>Compression report</h1>{_tiles(report)}<h2>Figures</h2><div class="figures">'
        f"{figures}</div>\n{''.join(tables)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _tiles(report) -> str:
    entries = [
        (
            f"{report.params_ratio:.2f} times fewer",
            f"parameters: {report.params_before:,} → {report.params_after:,}",
        ),
        (
            f"{report.flops_ratio:.2f} times fewer",
            f"FLOPs: {report.flops_before:,} → {report.flops_after:,}",
        ),
        (
            _number(report.metric),
            f"{report.monitor}; best seen {_number(report.best)}, accepted loss {report.eps:g}",
        ),
        (
            f"{report.accepted} of {len(report.rows)} trials",
            f"accepted, {report.retraining_epochs} epochs of retraining; "
            + ("search finished" if report.finished else "ended before the search"),
        ),
    ]
    tiles = "".join(f"<div><b>{escape(a)}</b><span>{escape(b)}</span></div>" for a, b in entries)
    return f'<div class="tiles">{tiles}</div>'


def _trials(report) -> str:
    names = ("trial", "epoch", "layer", "before", "after", "epochs", report.monitor)
    rows = (
        (
            *(row.trial, row.epoch, row.layer, row.width_before, row.width_after, row.epochs),
            *(row.metric, row.params, row.flops, row.reason),
        )
        for row in report.rows
    )
    return _table("trials", "Trials", (*names, "parameters", "FLOPs", "verdict"), rows)


def _candidates(report) -> str:
    rows = (
        (one.number, one.trial, one.metric, one.params, one.flops) for one in report.candidates()
    )
    names = ("network", "trial", report.monitor, "parameters", "FLOPs")
    return _table("networks", "Accepted networks", names, rows)


def _layers(report) -> str:
    names = ["layer"]
    for name in ("units", "parameters", "FLOPs"):
        names += [name, f"{name} after"]
    rows = (
        (
            *(one.name, one.width_before, one.width_after, one.params_before),
            *(one.params_after, one.flops_before, one.flops_after),
        )
        for one in report.layers
    )
    return _table("layers", "Layers", names, rows)


def _table(name: str, title: str, columns: Iterable[str], rows: Iterable[tuple]) -> str:
    heads = "".join(
        f'<th{_side(column)}><button type="button">{escape(column)}</button></th>'
        for column in columns
    )
    columns = list(columns)
    body = "".join(
        f"<tr>{''.join(_cell(*pair) for pair in zip(columns, row, strict=True))}</tr>\n"
        for row in rows
    )
    return (
        f'<h2>{escape(title)}</h2><div class="wide"><table id="{name}"><thead><tr>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>\n"
    )


def _side(column: str) -> str:
    return ' class="text"' if column in ("layer", "verdict") else ""


def _cell(column: str, value: Any) -> str:
    kind = _side(column)
    if column == "verdict":
        kind = f' class="text {"yes" if value == "accepted" else "no"}"'
    known = value is not None and (isinstance(value, str) or math.isfinite(value))
    sorted_by = escape(str(value)) if known else ""
    return f'<td{kind} data-value="{sorted_by}">{escape(_number(value))}</td>'


def _number(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if math.isfinite(value) else "unknown"
