"""Channel groups for the eye: a tree in text, and a graph in the language of Graphviz."""

from typing import Any

from keras_snare.graph.view import READER, THROUGH

_COLORS = "#a6cee3 #b2df8a #fdbf6f #cab2d6 #fb9a99 #ffff99 #80cdc1 #d9d9d9".split()


def tree(groups: Any) -> str:
    """Returns one small tree per group: who makes, passes and reads its channels."""
    return "\n".join(line for group in groups for line in _branches(group))


def _branches(group: Any) -> list[str]:
    lines = [f"made by {', '.join(group.layers)}"] if len(group.layers) > 1 else []
    for role, title in ((THROUGH, "passing"), (READER, "read by")):
        names = dict.fromkeys(member.binding.name for member in group.with_role(role))
        if names:
            lines.append(f"{title} {', '.join(names)}")
    if not group.prunable:
        lines.append(f"cannot be cut: {group.reason}")
    elif group.reasons:
        first = next(iter(group.reasons.values()))
        lines.append(f"{len(group.reasons)} of them cannot be cut: {first}")
    corners = ["├─ "] * (len(lines) - 1) + ["└─ "]
    head = f"{group.name}: {group.width} channels"
    return [head, *(corner + line for corner, line in zip(corners, lines, strict=False))]


def dot(groups: Any) -> str:
    """Returns the model's graph in DOT, every call in the colour of the group that it makes.

    Calls with a thick border make channels that cannot be cut; a grey dashed one makes none.
    """
    lines = ["digraph channels {", "  node [shape=box, fontname=sans];"]
    numbers = {id(group): at for at, group in enumerate(groups)}
    made_by = {}
    for at, call in enumerate(groups.trace.calls):
        made = [
            (owner, groups[owner])
            for owner, layer in groups.producers.items()
            if layer is call.operation and owner in groups
        ]
        label = _escaped(call.name)
        if made:
            group = made[0][1]
            color = _COLORS[numbers[id(group)] % len(_COLORS)] if group.prunable else "#ffffff"
            label += "".join(f"\\n{_kind(owner, call.name)}{one.width}" for owner, one in made)
            style = f'style=filled, fillcolor="{color}", penwidth={1 if group.prunable else 3}'
        else:
            style = "style=dashed, color=gray"
        lines.append(f'  n{at} [label="{label}", {style}];')
        made_by.update(dict.fromkeys(call.outputs, at))
    for at, call in enumerate(groups.trace.calls):
        lines += [f"  n{made_by[key]} -> n{at};" for key in call.inputs if key in made_by]
    return "\n".join([*lines, "}"])


def _kind(owner: str, name: str) -> str:
    kind = owner.removeprefix(name).lstrip(":/")
    return f"{_escaped(kind)} " if kind and owner != name else ""


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
