"""Functions that reduce, scan or sort axes; a channel axis among them has to keep its width."""

from keras_snare.graph.channels import join_axes
from keras_snare.graph.rules.table import operation
from keras_snare.graph.view import CallView


@operation(
    *"""all amax amin any argmax argmin average count_nonzero logsumexp max mean median min moments
    nanmax nanmean nanmin nansum norm prod std sum var""".split()
)
def reduction(view: CallView):
    over = getattr(view.layer, "axis", getattr(view.layer, "axes", None))
    ndim = len(view.input_shapes[0])
    over = range(ndim) if over is None else [over] if isinstance(over, int) else over
    over = {axis % ndim for axis in over}
    _weigh(view)
    for axis, labels in view.inputs[0].items():
        if axis in over:
            view.space.freeze(labels, f"{view.name} reduces over it")
    view.count_elements(view.inputs[0], view.input_shapes[0])
    left = {axis: labels for axis, labels in view.inputs[0].items() if axis not in over}
    if not getattr(view.layer, "keepdims", False):
        left = {axis - sum(at < axis for at in over): one for axis, one in left.items()}
    return [left for _ in view.output_shapes]


def _weigh(view: CallView) -> None:
    """Weights of an average have the shape of what they weigh, or that of its axis."""
    first, *others = zip(view.input_shapes, view.inputs, strict=True)
    for other in others:
        if len(other[0]) == len(first[0]):
            join_axes(view.space, [first, other], view.name)
        else:
            view.space.freeze_all(other[1], f"{view.name} weighs with it")


@operation(*"argsort cumprod cumsum log_softmax normalize roll softmax sort sparsemax".split())
def along_an_axis(view: CallView):
    axis = view.layer.axis
    ndim = len(view.input_shapes[0])
    along = range(ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for at in {one % ndim for one in along} & view.inputs[0].keys():
        view.space.freeze(view.inputs[0][at], f"{view.name} works along it")
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0] if view.input_shapes[0] == view.output_shapes[0] else {}]
