"""Trained layers as products of smaller ones."""

import itertools
from typing import Any

import keras

from keras_snare.arguments import is_whole
from keras_snare.criteria import check_first_batch
from keras_snare.factorize.budget import allotted
from keras_snare.factorize.checks import (
    check_meant,
    check_settings,
    checked_rules,
    meant,
    rule_of,
)
from keras_snare.factorize.exchanging import check_classes, exchanged
from keras_snare.factorize.factors import Factors, Ranks, built
from keras_snare.factorize.moments import moments
from keras_snare.factorize.ranks import chosen, spared
from keras_snare.factorize.sensitivity import sensitivities
from keras_snare.factorize.suitable import has_matrix, unsuited, ways_of
from keras_snare.graph import Trace, recorded_graph
from keras_snare.report import FactorizeReport, FactorRow

_HELD = "keras_snare_factorization"
_SUFFIXES = {1: ("",), 2: ("_in", ""), 3: ("_in", "_core", "")}
Choice = tuple[Factors, Ranks] | None


def factorize(
    model: keras.Model,
    rank: Any = None,
    *,
    method: str = "svd",
    layers: Any = None,
    budget: float | int | None = None,
    data: Any = None,
    batch_size: int = 128,
    sensitivity: str = "energy",
) -> keras.Model:
    """Returns a trained model with layers in factors: fewer weights, and fewer operations.

    A layer becomes two or three plain Keras layers, one behind the other. The last one has its
    name, activation and bias, and makes its units; those in front are named after it: `dense_in`,
    `conv_in`, `conv_core`. Kernels that would not become smaller are left alone, but for ranks that
    are given as integers, and `"full"`. Train on afterwards;
    `print(keras_snare.factorize_report(smaller))` shows what became of each layer.

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
            all that suit a layer, the one with the least error, or for an energy the smallest.
        layers: which layers: names, regular expressions, layer classes, or a predicate; None for
            all.
        budget: parameters of the whole model, as a share of now or as a number, in place of `rank`:
            allotted to where they keep the most energy, or by `sensitivity`.
        data: `(x,)` or `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset, of a few
            hundred examples: energy, error and what is lost are then those of what the layers
            compute on them (of a layer with a bias, about its mean). With `"svd"`, the outputs of a
            layer are kept as well as its rank allows; the other methods fit the layer to what its
            channels carry at one place, and measure it over all taps. Of very many places of a
            batch, these look at 8192.
        batch_size: int, for arrays.
        sensitivity: what a budget spares. `"energy"`: the product of the shares of energy that the
            layers keep. `"loss"`: the compiled loss on `data=(x, y)`. Each layer alone is tried at
            two ranks, which tells how much the loss rises for the energy that it loses, and the sum
            of these rises is to be least. The weights are put back exactly.

    Returns:
        A new model of the same class, compiled as `model` is, whose optimizer begins anew. Where
        Keras cannot find its loss or metrics again, it is not compiled, and a warning says so.

    Raises:
        TypeError, ValueError: when an argument is out of range or names no layer, or no kernel is
            meant that can be factorised.
        UnsupportedModelError: when the model is subclassed and computes by code of its own, or its
            class has a constructor that builds the layers; when `rank` names a layer that cannot be
            factorised, or another one cannot be built from its configuration.

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
    rules = checked_rules(rank, budget, layers)
    graph = recorded_graph(model)
    check_settings(model, method, layers, budget, data, batch_size, sensitivity)
    every = _matrices(graph)
    reasons = {name: unsuited(every[name]) for name in meant(every, rules, layers)}
    check_meant(every, reasons, rules, layers)
    suited = {name: every[name] for name, reason in reasons.items() if not reason}
    check_classes(graph, model, suited.values())
    shown = _shown(graph, suited, data, batch_size, method, sensitivity)
    ways = {name: ways_of(layer, method, shown[name]) for name, layer in suited.items()}
    worth = None
    if sensitivity == "loss":
        worth = sensitivities(model, graph, ways, data, batch_size)
    if budget is None:
        used = {name: rule_of(rules, name, every[name]) for name in ways}
        choices = {name: chosen(used[name], one) for name, one in ways.items()}
        reasons |= {name: spared(used[name], ways[name]) for name in ways if not choices[name]}
    else:
        choices = _allotted(model, ways, budget, worth)
        reasons |= {name: "the budget has room for all of it" for name in ways if not choices[name]}
    smaller = exchanged(model, _instead(graph, suited, choices))
    rows = [_row(name, one, reasons, choices.get(name), worth) for name, one in every.items()]
    report = FactorizeReport(tuple(rows), model.count_params(), smaller.count_params())
    # Keras would note a plain assignment as one more attribute of the model.
    object.__setattr__(smaller, _HELD, report)
    return smaller


def factorize_report(model: keras.Model) -> FactorizeReport:
    """Returns what `factorize` did to a model that it returned; print it for a table.

    Args:
        model: what `factorize` returned. A model that was loaded does not know any more.

    Returns:
        The `FactorizeReport`.

    Raises:
        ValueError: when it is another model.

    Example:

    >>> small = keras_snare.factorize(model, energy=0.9)
    >>> print(keras_snare.factorize_report(small))
    """
    report = vars(model).get(_HELD)
    if report is None:
        raise ValueError(
            f"Expected a model that keras_snare.factorize returned. Received: {model!r}. A report "
            "is not saved with a model; keep report.to_json()."
        )
    return report


def _matrices(graph: Trace) -> dict[str, Any]:
    """The layers with a matrix for a weight, each by the name of its first call."""
    found: dict[int, tuple[str, Any]] = {}
    for call in graph.calls:
        if has_matrix(call.operation):
            found.setdefault(id(call.operation), (call.name, call.operation))
    return dict(found.values())


def _shown(
    graph: Trace, suited: dict[str, Any], data: Any, batch_size: int, method: str, sensitivity: str
) -> dict[str, Any]:
    """What data show of each layer, None without data."""
    if data is None:
        return dict.fromkeys(suited)
    check_first_batch(graph, data, sensitivity == "loss")
    found = moments(graph, list(suited.values()), data, batch_size, method != "svd")
    return {name: found[id(layer)] for name, layer in suited.items()}


def _allotted(
    model: keras.Model,
    ways: dict[str, list[Factors]],
    budget: float | int,
    worth: dict[str, float] | None,
) -> dict[str, Choice]:
    whole = model.count_params()
    kernels = sum(one[0].kernel.size for one in ways.values())
    most = int(budget if is_whole(budget) else budget * whole)
    weights = None if worth is None else [worth[name] for name in ways]
    found = allotted(list(ways.values()), most - (whole - kernels), weights)
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


def _row(
    name: str,
    layer: keras.layers.Layer,
    reasons: dict[str, str],
    choice: Choice,
    worth: dict[str, float] | None,
) -> FactorRow:
    size, rise = layer.count_params(), None if worth is None else worth.get(name)
    if choice is None:
        reason = reasons.get(name, "it is not meant")
        return FactorRow(name, "", (), size, size, 0.0, reason, rise)
    way, ranks = choice
    after = size - way.kernel.size + way.params(ranks)
    return FactorRow(name, way.method, ranks, size, after, way.error(ranks), "", rise)
