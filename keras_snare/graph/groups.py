"""Channel groups: what is cut together, found from the graph alone."""

from dataclasses import dataclass, field
from functools import cached_property

import keras
import numpy as np

from keras_snare.graph.calls import Call, Trace
from keras_snare.graph.channels import AxisLabels, ChannelSpace, Labels
from keras_snare.graph.drawing import dot, tree
from keras_snare.graph.following import follow
from keras_snare.graph.reader import trace
from keras_snare.graph.rules import rule_for
from keras_snare.graph.view import PRODUCER, READER, Binding, CallView, Sized, Work


@dataclass(frozen=True, eq=False)
class Member:
    """One axis of a variable that takes part in a group.

    Args:
        binding: the axis and its role.
        channels: array, for each position of the axis the group's channel there, or -1.
    """

    binding: Binding
    channels: np.ndarray


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Units of one or more layers that can only be cut together.

    Args:
        name: str, name of the first layer that produces the units.
        layers: names of all layers that produce them.
        width: int, number of channels: of sets of units that stand or fall together.
        reasons: channel to the reason why it cannot be cut, for those that cannot.
        members: the axes of variables that follow the group.
        roots: array, the label that stands for each channel.
    """

    name: str
    layers: tuple[str, ...]
    width: int
    reasons: dict[int, str]
    members: tuple[Member, ...] = field(repr=False)
    roots: np.ndarray = field(repr=False)

    @property
    def kind(self) -> str:
        """What the channels are where they are not units, such as `"frequency"` or `"heads"`."""
        return self.name.rpartition(":")[2] if ":" in self.name else ""

    @property
    def prunable(self) -> bool:
        """Whether any channel can go."""
        return self.removable > 0

    @property
    def reason(self) -> str | None:
        """Why nothing of the group can be cut, or None."""
        if self.prunable:
            return None
        single = "it has a single unit, and one must stay"
        alone = single if self.width == 1 else "each of its layers has to keep a unit"
        return next(iter(self.reasons.values()), alone)

    @cached_property
    def free(self) -> np.ndarray:
        """Channels that may be cut."""
        return np.array([at for at in range(self.width) if at not in self.reasons], dtype=np.int64)

    @cached_property
    def removable(self) -> int:
        """How many channels can go at most."""
        return len(self.first(self.free, self.width))

    def first(self, order: np.ndarray, count: int) -> list[int]:
        """Returns the first channels in an order that can go together, `count` at most.

        The group keeps one channel, and so does each of the layers that produce its units.
        """
        members = (*self.with_role(PRODUCER), *self.with_role(READER))
        produced = {frozenset(one.channels[one.channels >= 0].tolist()) for one in members}
        left = {channels: len(channels) for channels in (*produced, frozenset(range(self.width)))}
        going: list[int] = []
        for channel in order.tolist():
            layers = [channels for channels in left if channel in channels]
            if len(going) < count and all(left[channels] > 1 for channels in layers):
                going.append(channel)
                left.update({channels: left[channels] - 1 for channels in layers})
        return going

    def with_role(self, role: str) -> list[Member]:
        """Members that produce the units, or that read them."""
        return [member for member in self.members if member.binding.role == role]


class ChannelGroups:
    """The channel groups of a model, as `keras_snare.channel_groups` returns them.

    Iterating gives `ChannelGroup`s in the order of the graph; indexing takes the name of any layer
    that produces the units. Printing shows what is cut together, and what cannot be and why.
    """

    def __init__(
        self,
        graph: Trace,
        space: ChannelSpace,
        calls: list[CallView],
        labels: dict,
        outside: tuple[str, list] = ("", []),
    ) -> None:
        self.outside = outside
        self.trace = graph
        self.calls = calls
        self.labels = labels
        self.roots = space.roots()
        self.bindings: list[Binding] = [one for call in calls for one in call.bindings]
        self.work: list[Work] = [one for call in calls for one in call.work]
        self.groups = _groups(space, self.roots, self.bindings)
        self.sized = [one for call in calls for one in call.sized]
        self.sized += [self._sized_model(call) for call in graph.nested]
        self.producers = space.producers
        self._units = space.labels_by_owner()
        self._stays: tuple[np.ndarray, np.ndarray] | None = None
        self._by_layer = {layer: group for group in self.groups for layer in group.layers}

    def __iter__(self):
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def __contains__(self, layer: str) -> bool:
        return layer in self._by_layer

    def __getitem__(self, layer: str) -> ChannelGroup:
        if layer not in self._by_layer:
            raise KeyError(
                f"No layer named {layer!r} produces channels. Layers that do: "
                f"{', '.join(self._by_layer) or 'none'}."
            )
        return self._by_layer[layer]

    def _sized_model(self, call: Call) -> Sized:
        inputs, outputs = (
            tuple((self.trace.shape(key), self.labels[key]) for key in keys)
            for keys in (call.argument_keys, call.outputs)
        )
        return Sized(call.operation, inputs, outputs, {}, call)

    def resized(self, shape: tuple, axes: AxisLabels, removed: np.ndarray) -> tuple:
        """Returns the shape of a tensor when the channels `removed` (roots) go."""
        sizes = list(shape)
        for axis, labels in axes.items():
            sizes[axis] = int(self.kept(labels, removed).sum())
        return tuple(sizes)

    def prunable(self) -> list[ChannelGroup]:
        """Groups of which something can be cut."""
        return [group for group in self.groups if group.prunable]

    def units(self, layer: str) -> np.ndarray:
        """Returns, per output unit of a layer, the root of its channel."""
        return self.roots[self._units[layer]]

    def kept(self, labels: Labels, removed: np.ndarray) -> np.ndarray:
        """Tells for each position whether it stays when the channels `removed` (roots) go."""
        if self._stays is None or self._stays[0] is not removed:
            stays = np.ones(len(self.roots), dtype=bool)
            stays[removed] = False
            self._stays = (removed, stays[self.roots])
        return self._stays[1][labels]

    def __str__(self) -> str:
        return tree(self)

    def to_dot(self) -> str:
        """Returns the model's graph in the language of Graphviz, coloured by group.

        Example:

        >>> text = keras_snare.channel_groups(model).to_dot()  # dot -Tsvg draws it
        """
        return dot(self)


def channel_groups(model: keras.Model) -> ChannelGroups:
    """Finds which units of a model can be cut, and what has to be cut with them.

    Only the graph is read, no weight. Print the result to see the groups of coupled layers and,
    for what cannot be cut, the reason.

    Args:
        model: a built Keras model: Sequential, functional, or subclassed with a `call` that runs on
            symbolic inputs.

    Returns:
        `ChannelGroups`, one `ChannelGroup` per set of coupled layers.

    Raises:
        UnsupportedModelError: when no graph of the model is to be had.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="hidden"),
    ...                           keras.layers.Dense(2, name="logits")])
    >>> groups = keras_snare.channel_groups(model)
    >>> groups["hidden"].width, groups["logits"].reason
    (8, "its width is the model's output")

    Reference:
        Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023.
    """
    return find_groups(model)


def find_groups(model: keras.Model, keep_outputs: bool = True) -> ChannelGroups:
    """The same, also for a part of a model: what it returns may then become narrower."""
    graph = trace(model, is_known=lambda operation: rule_for(operation) is not None)
    space = ChannelSpace()
    calls, labels = follow(graph, space, keep_outputs)
    placed = {id(weight) for call in calls for weight in getattr(call.layer, "weights", ())}
    outside = [weight for weight in model.weights if id(weight) not in placed]
    return ChannelGroups(graph, space, calls, labels, (model.name, outside))


def _groups(space: ChannelSpace, roots: np.ndarray, bindings: list[Binding]) -> list[ChannelGroup]:
    reasons = space.reasons(roots)
    component = np.full(len(roots), -1, dtype=np.int64)
    number = np.full(len(roots), -1, dtype=np.int64)
    own, names = [], []
    labels_of = space.labels_by_dimension()
    for index, dimensions in enumerate(space.components(roots)):
        found = roots[np.concatenate([labels_of[one] for one in dimensions])].tolist()
        own.append(np.array(list(dict.fromkeys(found)), dtype=np.int64))
        component[own[-1]] = index
        number[own[-1]] = np.arange(len(own[-1]))
        names.append(tuple(dict.fromkeys(space.owner(one) for one in dimensions)))
    members: list[list[Member]] = [[] for _ in own]
    for binding in bindings:
        at = roots[binding.labels]
        for index in np.unique(component[at]).tolist():
            if index >= 0:
                channels = np.where(component[at] == index, number[at], -1)
                members[index].append(Member(binding, channels))
    groups = []
    for layers, channels, following in zip(names, own, members, strict=True):
        frozen = {at: reasons[root] for at, root in enumerate(channels.tolist()) if root in reasons}
        groups.append(
            ChannelGroup(layers[0], layers, len(channels), frozen, tuple(following), channels)
        )
    return groups
