"""The state of a model as plain data, so that two states can be compared."""

import keras


def state_of(model):
    """Everything that a cut or a training step changes, of the model and its optimizer."""
    optimizer = getattr(model, "optimizer", None)
    held = [*model.weights, *(optimizer.variables if optimizer else ())]
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return {
        "values": [(one.dtype, one.numpy().tobytes(), tuple(one.numpy().shape)) for one in held],
        "shapes": [(tuple(one.shape), one.ndim) for one in held],
        "objects": [id(one.value) for one in held],
        "configs": [layer.get_config() for layer in layers],
        "specs": [repr(getattr(layer, "input_spec", None)) for layer in layers],
        "built": [layer.get_build_config() for layer in layers],
        "outputs": [
            [tuple(tensor.shape) for node in layer._inbound_nodes for tensor in node.outputs]
            for layer in layers
        ],
        "functions": [id(model.train_function), id(model.test_function)],
        "tables": list(_tables(optimizer)),
    }


def _tables(optimizer):
    while optimizer is not None:
        table = optimizer._trainable_variables_indices
        yield id(table), type(table), dict(table)
        optimizer = getattr(optimizer, "inner_optimizer", None)


def assert_same_state(found, expected):
    """Compares part by part, so that a failure names the part."""
    for part, value in expected.items():
        assert found[part] == value, part
