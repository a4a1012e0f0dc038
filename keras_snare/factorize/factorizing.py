"""Trained layers as products of smaller ones."""

import itertools
from collections.abc import Mapping
from typing import Any

import keras

from keras_snare.arguments import check_count, is_whole
from keras_snare.criteria import check_data, check_first_batch
from keras_snare.errors import UnsupportedModelError
from keras_snare.factorize.budget import allotted, checked_budget
from keras_snare.factorize.exchanging import exchanged
from keras_snare.factorize.factors import Factors, Ranks, built
from keras_snare.factorize.moments import moments
from keras_snare.factorize.ranks import Rule, checked_rule, chosen
from keras_snare.factorize.suitable import METHODS, has_matrix, unsuited, ways_of
from keras_snare.graph import Trace, recorded_graph
from keras_snare.policy import check_layers, means
from keras_snare.report import FactorizeReport, FactorRow

_HELD = "keras_snare_factorization"
_SUFFIXES = {1: ("",), 2: ("_in", ""), 3: ("_in", "_core", "")}
_NO_FEWER = "factors of the ranks that were found would have no fewer weights"
Choice = tuple[Factors, Ranks] | None


def factorize(
    model,
    rank: Any = None,
    *,
    method: str = "svd",
    layers: Any = None,
    budget: float | int | None = None,
    data: Any = None,
    batch_size: int = 128,
) -> keras.Model:
    """Returns a trained model with layers in factors: fewer weights, and fewer operations.

    A layer becomes two or three plain Keras layers, one behind the other. The last one has its
    name, activation and bias, and makes its units; those in front are named after it: `dense_in`,
    `conv_in`, `conv_core`. Kernels that would not become smaller are left alone. Train on
    afterwards; `print(keras_snare.factorize_report(smaller))` shows what became of each layer.

    Args:
        model: a built Sequential or functional model, trained. It is not changed.
        rank: how ranks are chosen. A float: the share of its weights that each kernel keeps; 0.5 if
            there is no `budget` either. `"energy:0.9"`: as low as keeps nine tenths of the energy,
            the sum of the squares. `"vbmf"`: what stands out of noise, by variational Bayes.
            `"full"`: nothing is lost, nor saved. An int: that rank, or the full one where it is
            less. A mapping from layer names to these, or to `(in, out)` for Tucker: only those
            layers. Ranks that are given as such, and full ones, are used even where they save
            nothing.
        method: `"svd"`: dense layers, and convolutions as one with few filters and one of 1 by 1.
            `"tucker"`: convolutions between two of 1 by 1. `"spatial"`: 2-D convolutions as k by 1,
            then 1 by k. Layers that these two do not suit are factorised by SVD. `"auto"`: of
            all that suit a layer, the one that loses least, or for an energy saves most.
        layers: which layers: names, regular expressions, layer classes, or a predicate; None for
            all.
        budget: parameters of the whole model, as a share of now or as a number, in place of `rank`:
            allotted to where they keep the most energy.
        data: `(x,)` or `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset, of a few
            hundred examples: energy is then that of what the layers compute on them. With `"svd"`,
            the outputs of a layer are kept as well as its rank allows; the other methods know of
            its inputs only how much each channel carries.
        batch_size: int, for arrays.

    Returns:
        A new model, compiled as `model` is, whose optimizer begins anew. Where Keras cannot find
        its loss or metrics again, it is not compiled, and a warning says so.

    Raises:
        TypeError, ValueError: when an argument is out of range or names no layer, or no kernel is
            meant that can be factorised.
        UnsupportedModelError: when the model is subclassed, or `rank` names a layer that cannot be
            factorised.

    Example:

    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu", name="one"),
    ...                           keras.layers.Dense(10, name="two")])
    >>> smaller = keras_snare.factorize(model, {"one": 8})
    >>> [(layer.name, layer.units) for layer in smaller.layers]
    [('one_in', 8), ('one', 64), ('two', 10)]

    Reference:
        Denton et al., "Exploiting Linear Structure Within Convolutional Networks for Efficient
        Evaluation", NeurIPS 2014; Kim et al., "Compression of Deep Convolutional Neural Networks
        for Fast and Low Power Mobile Applications", ICLR 2016; Jaderberg et al., "Speeding up
        Convolutional Neural Networks with Low Rank Expansions", BMVC 2014; Nakajima et al., "Global
        Analytic Solution of Fully-observed Variational Bayesian Matrix Factorization", JMLR 2013.
    """
    rules = _checked_rules(rank, budget, layers)
    _check(method, layers, budget, data, batch_size)
    graph = recorded_graph(model)
    every = _matrices(graph)
    reasons = {name: unsuited(every[name]) for name in _meant(every, rules, layers)}
    _check_meant(every, reasons, rules, layers)
    suited = {name: every[name] for name, reason in reasons.items() if not reason}
    shown = _shown(graph, suited, data, batch_size)
    ways = {name: ways_of(layer, method, shown[name]) for name, layer in suited.items()}
    if budget is None:
        choices = {name: chosen(_rule(rules, name, every[name]), one) for name, one in ways.items()}
    else:
        choices = _allotted(model, ways, budget)
    smaller = exchanged(model, _instead(graph, suited, choices))
    spared = _NO_FEWER if budget is None else "the budget has room for all of it"
    rows = [_row(name, layer, reasons, spared, choices.get(name)) for name, layer in every.items()]
    report = FactorizeReport(tuple(rows), model.count_params(), smaller.count_params())
    # Keras would note a plain assignment as one more attribute of the model.
    object.__setattr__(smaller, _HELD, report)
    return smaller


def factorize_report(model) -> FactorizeReport:
    """Returns what `factorize` did to a model that it returned; print it for a table.

    Args:
        model: what `factorize` returned. A model that was loaded does not know any more.

    Raises:
        ValueError: when it is another model.
    """
    report = vars(model).get(_HELD)
    if report is None:
        raise ValueError(
            f"Expected a model that keras_snare.factorize returned. Received: {model!r}. A report "
            "is not saved with a model; keep report.to_json()."
        )
    return report


def _checked_rules(rank: Any, budget: Any, layers: Any) -> dict[str, Rule]:
    """How ranks are chosen, by name of a layer; under no name, how those of all are."""
    if rank is not None and budget is not None:
        raise ValueError(
            f"Expected `rank` or `budget`. Received: rank={rank!r}, budget={budget!r}. Leave one "
            "of them out."
        )
    if not isinstance(rank, Mapping):
        return {"": checked_rule(0.5 if rank is None else rank)}
    if layers is not None or not rank:
        raise ValueError(
            "A mapping as `rank` names the layers that are meant, one at least. Received: "
            f"rank={dict(rank)}, layers={layers!r}. Leave `layers` out."
        )
    return {name: checked_rule(one, name) for name, one in rank.items()}


def _check(method: str, layers: Any, budget: Any, data: Any, batch_size: int) -> None:
    if method not in METHODS:
        raise ValueError(f"`method` is one of {', '.join(METHODS)}. Received: method={method!r}")
    check_layers(layers)
    check_count("batch_size", batch_size)
    if budget is not None:
        checked_budget(budget)
    if data is not None:
        check_data(data, "data", False)


def _matrices(graph: Trace) -> dict[str, Any]:
    """The layers with a matrix for a weight, each by the name of its first call."""
    found: dict[int, tuple[str, Any]] = {}
    for call in graph.calls:
        if has_matrix(call.operation):
            found.setdefault(id(call.operation), (call.name, call.operation))
    return dict(found.values())


def _rule(rules: dict[str, Rule], name: str, layer: Any) -> Rule:
    return next(rules[one] for one in (name, layer.name, "") if one in rules)


def _meant(every: dict[str, Any], rules: dict[str, Rule], layers: Any) -> list[str]:
    known = {*every, *(layer.name for layer in every.values()), ""}
    unknown = [name for name in rules if name not in known]
    if unknown:
        raise ValueError(
            f"`rank` names layers of the model. Received: {unknown[0]!r}. Layers with a kernel: "
            f"{', '.join(every) or 'none'}."
        )
    if "" not in rules:
        return [name for name, layer in every.items() if {name, layer.name} & rules.keys()]
    return [name for name, layer in every.items() if layers is None or means(layers, name, layer)]


def _check_meant(every: dict[str, Any], reasons: dict[str, str], rules: Any, layers: Any) -> None:
    refused = {name: reason for name, reason in reasons.items() if reason}
    if "" not in rules and refused:
        name, reason = next(iter(refused.items()))
        raise UnsupportedModelError(
            f"`rank` names layers that can be factorised. Received: {name!r}: {reason}. Leave it "
            "out."
        )
    if len(refused) == len(reasons):
        said = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise ValueError(
            "Expected a Dense layer or a convolution that can be factorised. Received: "
            f"layers={layers!r} ({said or 'none matches'}). Layers with a kernel: "
            f"{', '.join(every) or 'none'}."
        )


def _shown(graph: Trace, suited: dict[str, Any], data: Any, batch_size: int) -> dict[str, Any]:
    """What data show of each layer, None without data."""
    if data is None:
        return dict.fromkeys(suited)
    check_first_batch(graph, data, False)
    found = moments(graph, list(suited.values()), data, batch_size)
    return {name: found[id(layer)] for name, layer in suited.items()}


def _allotted(model, ways: dict[str, list[Factors]], budget: float | int) -> dict[str, Choice]:
    whole = model.count_params()
    kernels = sum(one[0].kernel.size for one in ways.values())
    most = int(budget if is_whole(budget) else budget * whole)
    found = allotted(list(ways.values()), most - (whole - kernels))
    return dict(zip(ways, found, strict=True))


def _instead(graph: Trace, suited: dict[str, Any], choices: dict[str, Choice]) -> dict[int, list]:
    """The layers that stand for others, by id of these."""
    taken = {call.operation.name for call in (*graph.calls, *graph.nested)}
    taken.update(graph.tensors[key][0].name for key in graph.inputs)
    found = {}
    for name, layer in suited.items():
        choice = choices[name]
        if choice is None:
            continue
        way, ranks = choice
        parts = way.parts(ranks)
        names = [
            _free(layer.name + one, taken) if one else layer.name for one in _SUFFIXES[len(parts)]
        ]
        found[id(layer)] = built(layer, parts, names, way.bias(ranks))
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that no other layer has, which is taken from now on."""
    numbers = itertools.count(1)
    found = name
    while found in taken:
        found = f"{name}_{next(numbers)}"
    taken.add(found)
    return found


def _row(name: str, layer, reasons: dict[str, str], spared: str, choice: Choice) -> FactorRow:
    size = layer.count_params()
    if choice is None:
        reason = reasons.get(name, "it is not meant") or spared
        return FactorRow(name, "", (), size, size, 0.0, reason)
    way, ranks = choice
    after = size - way.kernel.size + way.params(ranks)
    return FactorRow(name, way.method, ranks, size, after, way.error(ranks))
