"""Functions of `keras.ops` that compute every element from that element alone."""

import numpy as np

from keras_snare.graph.rules.table import operation
from keras_snare.graph.view import CallView


@operation("clip")
def clip(view: CallView):
    if np.ndim(view.layer.x_min) or np.ndim(view.layer.x_max):
        view.freeze_other_axes((), "clips each of its channels by a fixed number")
    return elementwise(view)


@operation(
    *"""abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh bitwise_invert bitwise_not
    cast cbrt ceil celu conj conjugate convert_to_tensor copy cos cosh deg2rad elu erf erfc erfinv
    exp exp2 expm1 fabs floor gelu hard_shrink hard_sigmoid hard_silu hard_tanh i0 imag isfinite
    isinf isnan isneginf isposinf isreal leaky_relu log log10 log1p log2 log_sigmoid logical_not
    nan_to_num negative ones_like rad2deg real reciprocal relu relu6 round rsqrt saturate_cast selu
    sigmoid sign signbit silu sin sinc sinh soft_shrink softplus softsign sparse_plus
    sparse_sigmoid sqrt square squareplus stop_gradient tan tanh tanh_shrink threshold trunc
    zeros_like""".split()
)
def elementwise(view: CallView):
    view.count_elements(view.inputs[0], view.output_shapes[0])
    return [view.inputs[0]]
