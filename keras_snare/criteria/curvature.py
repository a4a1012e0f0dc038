"""Second derivatives of the mean loss: the diagonal of a Hessian, by products with vectors."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.criteria.batches import batches, check_labels, flat_inputs, no_example
from keras_snare.criteria.coordinates import Coordinates
from keras_snare.criteria.gauss_newton import check_curvature, gauss_newton
from keras_snare.criteria.gradients import only_tensorflow
from keras_snare.criteria.hessian_diagonal import hessian_diagonal
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import Trace

KINDS = ("gauss_newton", "hessian")


def check_probes(probes: Any, seed: Any, curvature: Any = "hessian") -> None:
    """Checks how second derivatives are estimated.

    Raises:
        ValueError: when one of the three is out of range.
    """
    if curvature not in KINDS:
        raise ValueError(
            f"`curvature` is {' or '.join(map(repr, KINDS))}. Received: curvature={curvature!r}"
        )
    if probes is not None and (not is_whole(probes) or probes < 1):
        raise ValueError(
            "`probes` is an integer, 1 or more, or None for exact derivatives. Received: "
            f"probes={probes!r}. More probes take longer and give less noise."
        )
    if not is_whole(seed) or seed < 0:
        raise ValueError(f"The seed is an integer, 0 or more. Received: seed={seed!r}")


def diagonal_curvature(
    model: keras.Model,
    graph: Trace,
    variables: Iterable[Any],
    data: Any,
    probes: int | None = 64,
    batch_size: int = 128,
    seed: int = 0,
    curvature: str = "hessian",
) -> list[np.ndarray]:
    """Returns the second derivative of the mean loss by each weight: the Hessian's diagonal.

    The loss is the compiled one, regularisation included, with the model in inference mode. With
    probes it is estimated without bias and without any assumption on layers or losses: the mean of
    v · Hv over vectors v of random signs. Its variance is, per batch, the sum of the squares of the
    other entries in the row of H, divided by the number of probes. Every batch has probes of its
    own, so that more batches give less noise, too.

    A product Hv takes about as long as a training step. There are `probes` of them per batch; or as
    many as there are weights, for exact derivatives, if those are asked for or if that is less.

    The Gauss-Newton diagonal leaves out the second derivatives of the network: that of JᵀHJ, with J
    the derivative of the outputs before a last softmax or sigmoid, and H the second derivative of
    the loss by these, its negative part left out, regularisation too. It is never negative. For a
    loss that is convex in these outputs it is the Hessian's, but for regularisation, where the
    network is piecewise linear in each weight by itself, as with ReLU and no layer that is used
    twice. Probes are random signs v on the outputs, one per example and output; the mean of
    (JᵀSv)², with SSᵀ = H, has a standard deviation of at most √(2 / probes) of the entry, per
    batch. Each takes a backward pass, and outputs times examples are exact.

    Args:
        model: a compiled model.
        graph: its graph.
        variables: the weights.
        data: `(x, y)` arrays, or an iterable of such batches.
        probes: int, products per batch; None for exact derivatives.
        batch_size: int, for arrays.
        seed: int, of the probes.
        curvature: `"hessian"` or `"gauss_newton"`.

    Returns:
        One array per variable, of its shape.

    Raises:
        ValueError: when there is no example, no label, or an argument is out of range.
        UnsupportedModelError: when something in the model has no second derivative; for
            Gauss-Newton, something in the loss, or when it ties examples together.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> graph = keras_snare.channel_groups(model).trace
    >>> data = np.array([[1.0, 2.0]]), np.array([[0.0]])
    >>> diagonal_curvature(model, graph, model.weights, data)[0].tolist()
    [[2.0], [8.0]]

    Reference:
        Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian
        Smoothing Splines", 1989; for the diagonal Bekas et al., "An Estimator for the Diagonal of a
        Matrix", 2007; for Gauss-Newton LeCun et al., "Optimal Brain Damage", NeurIPS 1989, and
        Martens and Grosse, "Optimizing Neural Networks with Kronecker-Factored Approximate
        Curvature", ICML 2015, for what is sampled.
    """
    variables = list(variables)
    shapes = [tuple(variable.shape) for variable in variables]
    weights = Coordinates(variables, shapes, spread=list, gather=list)
    return derivatives(model, graph, weights, data, probes, batch_size, seed, curvature)[1]


def derivatives(
    model: keras.Model,
    graph: Trace,
    coordinates: Coordinates,
    data: Any,
    probes: int | None,
    batch_size: int,
    seed: int,
    curvature: str = "hessian",
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the first and the second derivative of the mean loss by each coordinate.

    Arguments, errors and costs are those of `diagonal_curvature`; the first derivative is exact.
    """
    check_probes(probes, seed, curvature)
    only_tensorflow("Second derivatives")
    first = [np.zeros(shape) for shape in coordinates.shapes]
    second = [np.zeros(shape) for shape in coordinates.shapes]
    make = gauss_newton if curvature == "gauss_newton" else hessian_diagonal
    run = make(model, graph, coordinates, probes)
    compiled, seen = {}, 0
    for number, (x, y) in enumerate(batches(data, batch_size)):
        inputs = flat_inputs(graph, x)
        check_labels(y, labelled=True)
        size = int(inputs[0].shape[0])
        batch = inputs, keras.tree.map_structure(keras.ops.convert_to_tensor, y)
        draw = [keras.ops.convert_to_tensor(one, "int64") for one in (int(seed) % 2**63, number)]
        key = tuple(tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(batch))
        with _explained():
            if key not in compiled:
                compiled[key] = run if model.run_eagerly else _compiled(run, batch)
            *found, (tied, entries) = compiled[key](*batch, *draw)
        check_curvature(float(tied), int(entries))
        for totals, figures in zip((first, second), found, strict=True):
            for total, figure in zip(totals, figures, strict=True):
                total += size * keras.ops.convert_to_numpy(figure)
        seen += size
    if not seen:
        raise no_example()
    return [one / seen for one in first], [one / seen for one in second]


def _compiled(run: Callable, batch: Any) -> Any:
    import tensorflow as tf

    def unweighted(inputs, targets, seed, number):
        return run(inputs, targets, seed, number)

    number = tf.TensorSpec([], "int64")
    signature = [*keras.tree.map_structure(_any_batch, list(batch)), number, number]
    found = tf.function(unweighted, input_signature=signature, autograph=False)
    return found.get_concrete_function()


def _any_batch(tensor: Any) -> Any:
    import tensorflow as tf

    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        # Its children are raised for missing keys and the like.
        if type(error) is not LookupError:
            raise
        raise UnsupportedModelError(
            "Second derivatives of the loss need those of every operation in the model, and "
            f"TensorFlow lacks one ({error}). Choose a criterion on gradients, such as 'taylor', "
            "or on weights."
        ) from error
