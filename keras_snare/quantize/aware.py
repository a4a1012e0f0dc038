"""A model that trains in Keras 3 and computes as TF-MOT has its int8 twin compute."""

from typing import Any

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.bridge import to_tf_keras
from keras_snare.quantize.calibration import calibrate, follow_weights
from keras_snare.quantize.chosen import chosen_layers
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.sharing import SharedWeights
from keras_snare.quantize.stand_in import StandIn


class AwareTwin(StandIn):
    """The twin of a Keras 3 model in tf_keras, quantized by TF-MOT.

    Args:
        model: a built model.
        layers: which layers are quantized, as `QuantizeAwareCallback` takes them.
        scheme: a `QuantizeScheme` of TF-MOT, or None.
        configs: `QuantizeConfig`s of TF-MOT by name of a layer.

    Raises:
        UnsupportedModelError: when the model has no twin, or TF-MOT does not take it.
        ValueError: when `layers` or `configs` name no layer.
    """

    def __init__(self, model, layers: Any, scheme: Any, configs: dict[str, Any]):
        tf_mot()
        # It imports TF-MOT, which has to be done with care.
        from keras_snare.quantize.fake_quantization import fake_quantized

        chosen = chosen_layers(model, layers, configs)
        twin = to_tf_keras(model)
        quantized, late = fake_quantized(twin.model, chosen, scheme)
        super().__init__(model, quantized)
        self.late = late
        self._weights = SharedWeights(twin, quantized)
        _check_trained(twin.variables(quantized), quantized)

    def share(self) -> None:
        self._weights.share()

    def part(self) -> None:
        self._weights.part()

    def calibrate(self, batches: list[list[Any]]) -> None:
        calibrate(self.quantized, batches)

    def follow_weights(self, batch: list[Any]) -> None:
        follow_weights(self.quantized, batch)


def _check_trained(pairs: list[tuple[Any, Any]], quantized: Any) -> None:
    """What is no weight of the model would stay as it is while the model trains."""
    known = {id(there) for _, there in pairs}
    own = [one.name for one in quantized.trainable_variables if id(one) not in known]
    if own:
        raise UnsupportedModelError(
            "Expected a scheme of TF-MOT that trains the weights of the model. Received: one that "
            f"trains {own[0]!r} in the place of some. Take quantize_aware_train, in which TF-MOT "
            "trains it, or ClusterCallback with the default scheme."
        )
