"""The section on chapter 4 of the thesis, and its figures, for `make_readme.py`."""

from pathlib import Path
from typing import Any

PATH = "benchmarks/results/thesis_criteria.json"
COLUMNS = {
    "connections": {
        "taylor": "Taylor",
        "magnitude": "magnitude",
        "obd": "OBD",
        "random": "random",
    },
    "units": {
        "taylor": "Taylor",
        "similarity": "similarity",
        "activation": "activation",
        "random": "random",
        "l1_in": "`l1_in`",
        "l1_out": "`l1_out`",
        "l1_both": "`l1_both`",
    },
}
OUT = "classes"
# Tables 4.3 to 4.6: per cent of the layer, in the order of the columns.
THESIS = {
    "connections": {
        "LeNet-5": {
            "conv1": [57.3, 50.0, 58.8, 36.9],
            "conv2": [68.4, 70.1, 80.0, 69.1],
            "dense1": [96.6, 96.7, 96.7, 96.6],
            "dense2": [89.3, 89.9, 89.0, 88.2],
            OUT: [76.2, 66.7, 76.1, 48.6],
        },
        "LeNet-300-100": {
            "dense1": [98.0, 97.9, 98.1, 97.1],
            "dense2": [93.6, 93.7, 93.6, 93.5],
            OUT: [73.4, 73.2, 74.9, 67.6],
        },
        "UCI Custom": {
            "conv1": [37.1, 33.1, 29.9, 29.1],
            "conv2": [61.6, 61.4, 62.1, 56.1],
            "conv3": [73.1, 71.7, 71.7, 66.6],
            "conv4": [77.7, 73.8, 77.2, 71.5],
            "conv5": [79.2, 76.6, 78.8, 77.6],
            "dense1": [94.7, 94.5, 94.5, 94.2],
            "dense2": [90.1, 89.6, 90.3, 88.9],
            OUT: [70.4, 79.8, 78.7, 79.2],
        },
    },
    "connections, retrained": {
        "LeNet-5": {
            "conv1": [77.8, 77.7, 77.8, 77.6],
            "conv2": [98.0, 97.9, 98.0, 97.9],
            "dense1": [99.6, 99.5, 99.5, 99.2],
            "dense2": [99.1, 99.3, 99.4, 99.1],
            OUT: [94.9, 94.7, 94.5, 94.4],
        },
    },
    "units": {
        "LeNet-5": {
            "conv1": [16.67, 16.67, 0.00, 0.00, 16.67, 16.67, 16.67],
            "conv2": [12.50, 12.50, 12.50, 12.50, 12.50, 12.50, 12.50],
            "dense1": [23.33, 21.67, 17.50, 15.83, 18.33, 16.67, 20.83],
            "dense2": [20.24, 19.05, 19.05, 16.67, 19.05, 17.86, 19.05],
        },
        "LeNet-300-100": {
            "dense1": [49.00, 46.33, 45.00, 37.00, 47.67, 46.67, 49.33],
            "dense2": [35.00, 34.00, 29.00, 30.00, 32.00, 32.00, 33.00],
        },
        "UCI Custom": {
            "conv1": [16.67, 16.67, 16.67, 0.00, 16.67, 16.67, 16.67],
            "conv2": [15.63, 15.63, 12.50, 12.50, 15.63, 15.63, 15.63],
            "conv3": [18.75, 18.75, 12.50, 12.50, 15.63, 12.50, 15.63],
            "conv4": [14.17, 13.33, 13.33, 12.50, 15.00, 14.17, 14.17],
            "conv5": [22.50, 22.50, 21.67, 19.17, 20.83, 21.67, 22.50],
            "dense1": [33.00, 30.00, 28.00, 28.00, 30.00, 29.00, 31.00],
            "dense2": [28.00, 27.00, 27.00, 22.00, 24.00, 25.00, 25.00],
        },
    },
    "units, retrained": {
        "LeNet-5": {
            "conv1": [66.67, 66.67, 66.67, 66.67, 66.67, 66.67, 66.67],
            "conv2": [75.00, 75.00, 68.75, 75.00, 75.00, 75.00, 75.00],
            "dense1": [97.50, 95.83, 95.00, 92.50, 95.83, 96.67, 95.83],
            "dense2": [95.24, 95.24, 92.86, 91.67, 94.05, 92.86, 94.05],
        },
    },
}
# Per cent that is pruned by the last of the steps of table 4.4, in the smallest of the layers.
_LAST = 99.1 - 1e-6
TITLES = {
    "connections": "Connections, without retraining (table 4.3)",
    "connections, retrained": "Connections, with retraining (table 4.4)",
    "units": "Units, without retraining (table 4.5)",
    "units, retrained": "Units, with retraining (table 4.6)",
}
TEXT = """How much of one layer can go, all others whole, before a point of validation accuracy is
lost: per cent of the layer's weights, or units; the mean where there are several seeds. Beside it,
in brackets, the thesis's figure, which was found on the test set. Without retraining the layer is
ranked once, on 2,048 examples of the training part where the criterion looks at data, and the
figure is the largest share before the first that loses too much: in steps of 5 per cent, then of
0.1 for connections and of a unit for units. With retraining, the thesis trains the network for 5
epochs after each per cent, or unit, which is thousands of epochs for a table; here a step ends as
soon as the accuracy is back, after 5 epochs at the most, and the steps are larger: of the
connections 30, 15, 7, 5, 3.5, 2.5, 1.8, 1.3, 0.9, 0.6, 0.4 per cent are left (85, 70, 60, 50, 40
where 30 are too few), of the units of the layer a sixth of those that it has, or one, goes at a
time. "At least" says that the last of these steps was passed, so that such cells rank nothing. OBD
has the Gauss-Newton diagonal, of
64 random vectors a batch. The thesis's tables with retraining are of LeNet-5 alone."""


def thesis_criteria_lines(found: dict[str, Any]) -> list[str]:
    """What `thesis_criteria.json` says."""
    lines = ["", "## Criteria, layer by layer (chapter 4 of the thesis)", "", TEXT]
    for table, title in TITLES.items():
        rows, commands = [], []
        for network, seeds in found.items():
            held = {seed: one[table] for seed, one in seeds.items() if table in one}
            if held:
                rows += _rows(table, network, held)
                known = next(iter(held.values()))
                runs = {known["command"]: "", **_again(known)}
                commands += [f"- {of}`{one.replace('FILE', PATH)}`" for one, of in runs.items()]
        if rows:
            names = COLUMNS[table.split(",")[0]].values()
            head = ["network", "layer", *names]
            lines += ["", f"### {title}", "", *commands, "", _row(head), _row(["---"] * len(head))]
            lines += rows
    for number, (title, _) in _figures(found).items():
        lines += ["", f"Figure {number}, remade: {title[0].lower()}{title[1:]}."]
        lines += ["", f"![{title}](figures/{_file(number)})"]
    return lines


def _again(known: dict[str, Any]) -> dict[str, str]:
    """The commands by which some columns were measured later, and of which criteria."""
    found: dict[str, str] = {}
    for criterion, told in known.get("again", {}).items():
        found[told["command"]] = found.get(told["command"], "") + f"{criterion}, later: "
    return found


def _rows(table: str, network: str, held: dict[str, Any]) -> list[str]:
    rows, columns = [], list(COLUMNS[table.split(",")[0]])
    first = next(iter(held.values()))["layers"]
    for layer in first:
        thesis = THESIS[table].get(network, {}).get(layer)
        cells = []
        for at, name in enumerate(columns):
            shares = [
                100 * one["layers"][layer][name]["share"]
                for one in held.values()
                if name in one["layers"].get(layer, {})
            ]
            ours = f"{sum(shares) / len(shares):.1f}" if shares else "-"
            if table == "connections, retrained" and shares and min(shares) >= _LAST:
                ours = f"at least {ours}"
            cells.append(f"{ours} ({thesis[at]:g})" if thesis else ours)
        rows.append(_row([network, layer, *cells]))
    return rows


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def draw(found: dict[str, Any], folder: Path) -> None:
    """Draws the figures that have been measured, 4.4 to 4.7: accuracy by the share pruned."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(exist_ok=True)
    for number, (title, panels) in _figures(found).items():
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(4.5 * len(panels), 3.5), squeeze=False, sharey=True
        )
        for axis, (name, courses) in zip(axes[0], panels.items(), strict=True):
            for label, one in courses.items():
                count = len(one["course"])
                shares = [100 * at / (count - 1) for at in range(count)]
                axis.plot(shares, [100 * value for value in one["course"]], label=label)
            axis.set_title(name)
            axis.set_xlabel("pruned, % of the layer")
            axis.legend()
            axis.grid(alpha=0.3)
        axes[0][0].set_ylabel("validation accuracy, %")
        figure.suptitle(title)
        figure.tight_layout()
        figure.savefig(folder / _file(number), dpi=100)
        pyplot.close(figure)


def _file(number: str) -> str:
    return f"thesis_figure_{number.replace('.', '_')}.png"


def _figures(found: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The figures of the first seed: number, title, and by panel and line what was measured."""
    lenet, uci = (
        _layers(found, *of) for of in (("LeNet-5", "connections"), ("UCI Custom", "units"))
    )
    figures = {}
    if lenet:
        dense = {name: one for name, one in lenet.items() if "conv" not in name}
        figures["4.4"] = "Connections of LeNet-5's dense layers", dense
        convolutions = {name: one for name, one in lenet.items() if "conv" in name}
        figures["4.5"] = "Connections of LeNet-5's convolutions", convolutions
    if uci:
        figures["4.6"] = "Units of UCI Custom's largest convolution", {"conv5": uci["conv5"]}
        taylor = {layer: one["taylor"] for layer, one in uci.items()}
        figures["4.7"] = "Units of UCI Custom by Taylor", {"all layers": taylor}
    return figures


def _layers(found: dict[str, Any], network: str, table: str) -> dict[str, Any]:
    seeds = [one[table]["layers"] for one in found.get(network, {}).values() if table in one]
    return seeds[0] if seeds else {}
