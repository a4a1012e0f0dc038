"""The section on ResNet-8 of the page that `make_readme.py` writes."""

from typing import Any

TEXT = """MLPerf Tiny's pretrained ResNet-8 on a subset of CIFAR-10: 12,500 images train, every
sixth of the 15,000 validates (2,500), 3,000 test. The given network was trained on all of these but
the test images, so its validation accuracy is higher than its test accuracy, and what validation
loses is not all lost on new images. The network is its own teacher: after one epoch with a learning
rate of 0, which takes the batch statistics again from the training images, the training minimises
the divergence from the teacher's softmax outputs, both at temperature {temperature:g}, on images
flipped and shifted by up to {shift} pixels; labels only validate. {optimizer}, {batch_size} images
a step; learning rate {search_rate:g} in two searches, one `fit` each, then in the second `fit` from
{fine_tuning_rate:g} down to 0 along half a cosine, of which the best epoch by validation stays
(`stop_when_done=False`). At most {epochs} epochs in all, the first included. `eps={eps:g}` is what
a trial may lose while the learning rate is still high, not what is lost in the end. Every
trial passed with it, so these are cuts of a chosen size, made and retrained by the callback.

How the settings came about, all by validation figures on seed 0: teacher, images, temperature, rate
and cuts by ten fits of 8 epochs after a cut at once, one of which also taught the outputs of the
blocks; then an unfinished run with eps=0.06, which refused the fourth cut, and a whole run of 60
epochs with one search of all three layers (9, 18 and 36 filters left), which ended lower on
validation and was not looked at on the test images."""


def resnet8_lines(found: dict[str, Any]) -> list[str]:
    """What `resnet8.json` says."""
    recipe, searches, versions = found["recipe"], found["searches"], found["versions"]
    lines = [
        "",
        "## ResNet-8",
        "",
        f"`{found['command'].replace('FILE', 'benchmarks/results/resnet8.json')}`",
        "",
        TEXT.format(**recipe, eps=searches[0]["eps"], epochs=found["epochs_at_most"]),
        "",
        *(f"{count}. `SnareCallback({_arguments(one)})`" for count, one in enumerate(searches, 1)),
        "",
        "| seed | FLOPs | gone, % | parameters | PR | FR | trials, accepted | epochs: statistics, "
        "search, fine-tuning | validation: given, teacher, after the search, at the end, % | "
        "test before, % | after, % | seconds |",
        "|" + "---|" * 12,
    ]
    median = found["median"]
    lines += [_resnet8_row(run["seed"], run) for run in found["runs"]]
    lines.append(_resnet8_row(f"median of {len(found['runs'])}", median))
    met = median["flops_gone"] >= 0.4 and median["test"] > 0.85 and median["epochs"] <= 60
    few = ", **but too few seeds**" if len(found["runs"]) < 3 else ""
    lines += [
        "",
        "Goal, for the median: 40 % of the FLOPs gone, above 85 % on the test images, at most 60 "
        f"epochs: {'reached' + few if met else '**not reached**'}.",
        "",
        "Versions: " + ", ".join(f"{name} {one}" for name, one in versions.items()) + ".",
    ]
    return lines


def _arguments(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _resnet8_row(seed: Any, run: dict[str, Any]) -> str:
    epochs = ("epochs_of_statistics", "epochs_of_search", "epochs_of_fine_tuning")
    stages = ("before", "teacher", "after_search")
    validation = [run[f"validation_{stage}"] for stage in stages] + [run["validation"]]
    cells = [
        seed,
        f"{run['flops_before']:,.0f} to {run['flops']:,.0f}",
        f"{100 * run['flops_gone']:.1f}",
        f"{run['params_before']:,.0f} to {run['params']:,.0f}",
        f"{run['params_ratio']:.2f}",
        f"{run['flops_ratio']:.2f}",
        f"{run['trials']:.0f}, {run['accepted']:.0f}",
        f"{run['epochs']:.0f}: " + ", ".join(f"{run[name]:.0f}" for name in epochs),
        ", ".join(f"{100 * one:.2f}" for one in validation),
        f"{100 * run['test_before']:.2f}",
        f"{100 * run['test']:.2f}",
        f"{run['seconds']:.0f}",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
