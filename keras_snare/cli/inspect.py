"""`keras-snare inspect`: what of a model can be cut, and what it costs."""

import json as json_format
from dataclasses import asdict
from typing import Any

from keras_snare import channel_groups, cost
from keras_snare.cli.inputs import read_model
from keras_snare.cli.options import Code, Json, ModelFile, Trust
from keras_snare.cli.outputs import quiet, show
from keras_snare.graph import READER


class _Inspection:
    """The channel groups of a model, and its cost."""

    def __init__(self, model: Any) -> None:
        self.groups = channel_groups(model)
        self.cost = cost(model)

    def to_json(self) -> str:
        """Returns the figures as a JSON object."""
        groups = [
            {
                "name": one.name,
                "layers": list(one.layers),
                "width": one.width,
                "removable": one.removable,
                "prunable": one.prunable,
                "reason": one.reason,
                "kept": {str(at): reason for at, reason in one.reasons.items()},
                "read_by": list(dict.fromkeys(it.binding.name for it in one.with_role(READER))),
            }
            for one in self.groups
        ]
        return json_format.dumps({**asdict(self.cost), "groups": groups})

    def __str__(self) -> str:
        return f"{self.groups}\n\n{self.cost}"


def inspect(model: ModelFile, code: Code = None, trust: Trust = False, json: Json = False) -> None:
    """Shows which units can be cut, which cannot and why, and what each layer costs.

    Units of one group are cut together. FLOPs are for one example; a multiply-add counts as two.
    """
    with quiet():
        found = _Inspection(read_model(model, code, trust))
    show(found, json)
