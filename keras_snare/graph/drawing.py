"""Channel groups for the eye: a tree in text, and a graph in the language of Graphviz."""

from typing import TYPE_CHECKING

from keras_snare.graph.view import PRODUCER, READER, THROUGH

if TYPE_CHECKING:
    from keras_snare.graph.groups import ChannelGroup, ChannelGroups

_TITLES = {PRODUCER: "made by", THROUGH: "passing", READER: "read by"}
_COLORS = "#a6cee3 #b2df8a #fdbf6f #cab2d6 #fb9a99 #ffff99 #80cdc1 #d9d9d9".split()


def tree(groups: "ChannelGroups") -> str:
    """Returns one small tree per group: who makes, passes and reads its channels."""
    return "\n".join(line for group in groups for line in _branches(group))


def _branches(group: "ChannelGroup") -> list[str]:
    lines = []
    for role, title in _TITLES.items():
        names = dict.fromkeys(member.binding.name for member in group.with_role(role))
        if role == PRODUCER:
            names = dict.fromkeys((*group.layers, *names))
        if names and (role != PRODUCER or len(names) > 1):
            lines.append(f"{title} {', '.join(names)}")
    if not group.prunable:
        lines.append(f"cannot be cut: {group.reason}")
    elif group.reasons:
        first = next(iter(group.reasons.values()))
        lines.append(f"{len(group.reasons)} of them cannot be cut: {first}")
    corners = ["├─ "] * (len(lines) - 1) + ["└─ "]
    head = f"{group.name}: {group.width} channels"
    return [head, *(corner + line for corner, line in zip(corners, lines, strict=False))]


def dot(groups: "ChannelGroups") -> str:
    """Returns the model's graph in DOT, every call in the colour of the group that it makes.

    Calls with a thick border make channels that cannot be cut; a grey dashed one makes none.
    """
    styles = {}
    for at, group in enumerate(groups):
        for layer in group.layers:
            color = _COLORS[at % len(_COLORS)] if group.prunable else "#ffffff"
            width = 1 if group.prunable else 3
            label = f"{layer}\\n{group.width}"
            style = f'label="{label}", style=filled, fillcolor="{color}", penwidth={width}'
            styles.setdefault(layer.split(":")[0], style)
    lines = ["digraph channels {", "  node [shape=box, fontname=sans];"]
    made_by = {}
    for at, call in enumerate(groups.trace.calls):
        style = styles.get(call.name, f'label="{call.name}", style=dashed, color=gray')
        lines.append(f"  n{at} [{style}];")
        made_by.update(dict.fromkeys(call.outputs, at))
    for at, call in enumerate(groups.trace.calls):
        lines += [f"  n{made_by[key]} -> n{at};" for key in call.inputs if key in made_by]
    return "\n".join([*lines, "}"])
