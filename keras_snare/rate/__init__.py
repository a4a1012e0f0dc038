"""Training for few bytes: the price of the bits in the loss, and rounding in every step."""

from keras_snare.rate.places import Place, places_of
from keras_snare.rate.rated_step import RatedStep
from keras_snare.rate.rated_weight import RatedWeight

__all__ = ["Place", "RatedStep", "RatedWeight", "places_of"]
