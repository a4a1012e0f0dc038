"""What a person reads of the groups: the printed tree, and the graph for Graphviz."""

import re

import keras
import models
import pytest

from keras_snare.graph import channel_groups

layers = keras.layers

NODE = re.compile(r'  (\w+) \[label="((?:[^"\\]|\\.)*)", style=(\w+),? ?(.*)\];')
EDGE = re.compile(r"  (\w+) -> (\w+);")


def parsed(text):
    """Nodes (name to label, style and the rest) and edges of a graph in DOT."""
    first, second, *lines, last = text.split("\n")
    assert (first, last) == ("digraph channels {", "}")
    assert second.startswith("  node [")
    nodes, edges = {}, []
    for line in lines:
        node, edge = NODE.fullmatch(line), EDGE.fullmatch(line)
        assert node or edge, line
        if node:
            assert not edges, "nodes come first"
            assert node[1] not in nodes
            nodes[node[1]] = node.groups()[1:]
        else:
            edges.append(edge.groups())
    return nodes, edges


def labels(nodes):
    return [label for label, *_ in nodes.values()]


def test_tree_tells_who_makes_passes_and_reads():
    assert str(channel_groups(models.build("residual"))).split("\n") == [
        "stem: 5 channels",
        "├─ made by stem, branch",
        "├─ passing stem_norm, branch_norm",
        "└─ read by inner, last",
        "inner: 4 channels",
        "├─ passing inner_norm",
        "└─ read by branch",
        "last: 3 channels",
        "└─ cannot be cut: its width is the model's output",
    ]


def test_tree_tells_why_some_cannot_be_cut():
    inputs = keras.Input((6,))
    unit = layers.Dense(5, name="unit")(inputs)
    # One unit is left free: the others meet the input.
    joined = layers.Concatenate()([unit[:, 1:] + inputs[:, :4], unit[:, :1]])
    model = keras.Model(inputs, layers.Dense(3, name="last")(joined))
    assert str(channel_groups(model)).split("\n")[:3] == [
        "unit: 5 channels",
        "├─ read by last",
        "└─ 4 of them cannot be cut: add joins it with a tensor of fixed width",
    ]


def test_tree_of_a_wall():
    model = models.chain(
        (6,), layers.Dense(5, name="unit"), layers.Lambda(lambda x: x, name="wall"), layers.Dense(3)
    )
    assert str(channel_groups(model)).split("\n")[:2] == [
        "unit: 5 channels",
        "└─ cannot be cut: wall reads it, an operation without a rule (Lambda)",
    ]


def test_tree_of_layers_in_layers():
    lines = str(channel_groups(models.build("bidirectional_concat"))).split("\n")
    assert lines[:4] == [
        "both/forward: 5 channels",
        "├─ made by both/forward, both/backward",
        "├─ passing both/forward, both/backward",
        "└─ read by both/forward, both/backward, last",
    ]


def test_tree_of_kinds_of_units():
    text = str(channel_groups(models.build("self_attention")))
    assert "attention:heads: 3 channels\n├─ passing attention\n└─ read by attention\n" in text


@pytest.mark.parametrize("name", models.SMALL)
def test_groups_and_calls_of_every_model_are_shown(name):
    groups = channel_groups(models.build(name))
    heads = [line for line in str(groups).split("\n") if line[0] not in "├└"]
    assert heads == [f"{group.name}: {group.width} channels" for group in groups]
    nodes, edges = parsed(groups.to_dot())
    calls = groups.trace.calls
    for call, label in zip(calls, labels(nodes), strict=True):
        assert label.startswith(call.name)
    assert {end for edge in edges for end in edge} <= nodes.keys()
    maker = {key: f"n{at}" for at, call in enumerate(calls) for key in call.outputs}
    read = [(key, f"n{at}") for at, call in enumerate(calls) for key in call.inputs]
    assert edges == [(maker[key], end) for key, end in read if key in maker]


def test_nodes_show_the_groups():
    nodes, edges = parsed(channel_groups(models.build("partly_coupled")).to_dot())
    shown = {label: (style, rest) for label, style, rest in nodes.values()}
    assert set(shown) == {r"left\n7", r"right\n7", r"whole\n7", r"last\n3", "concatenate", "add"}
    (color,) = {shown[name] for name in (r"left\n7", r"right\n7", r"whole\n7")}
    assert color == ("filled", 'fillcolor="#a6cee3", penwidth=1')
    assert shown[r"last\n3"] == ("filled", 'fillcolor="#ffffff", penwidth=3')
    assert shown["add"] == ("dashed", "color=gray")
    assert len(edges) == 5


def test_neighbouring_groups_differ_in_colour():
    nodes, _ = parsed(channel_groups(models.build("dense")).to_dot())
    assert len({rest for _, _, rest in nodes.values()}) == 3


def test_more_groups_than_colours():
    parts = [layers.Dense(2) for _ in range(12)]
    nodes, _ = parsed(channel_groups(models.chain((6,), *parts)).to_dot())
    colors = [rest for _, _, rest in nodes.values()]
    assert colors[0] == colors[8]


def test_layer_that_is_called_twice_has_two_nodes():
    nodes, _ = parsed(channel_groups(models.build("shared_dense")).to_dot())
    assert labels(nodes).count(r"shared\n5") == 2


def test_layers_of_nested_models_have_nodes_of_their_own():
    nodes, _ = parsed(channel_groups(models.build("nested")).to_dot())
    assert {r"inner/unit\n5", r"inner/deepest/deep\n4"} <= set(labels(nodes))


@pytest.mark.parametrize("name", ["bidirectional_concat", "rnn_of_cells"])
def test_layers_that_make_units_in_parts_are_not_drawn_as_making_none(name):
    nodes, _ = parsed(channel_groups(models.build(name)).to_dot())
    assert [style for _, style, _ in nodes.values()] == ["filled", "filled"]


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", 'both\\"'])
def test_quotes_in_names_are_escaped(name):
    model = models.chain(
        (6,), layers.Dense(5, name=name), layers.ReLU(name=f"{name}_too"), layers.Dense(3)
    )
    nodes, _ = parsed(channel_groups(model).to_dot())
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    assert labels(nodes)[:2] == [rf"{escaped}\n5", f"{escaped}_too"]


def test_colons_in_names_are_part_of_them():
    model = models.chain((6,), layers.Dense(5, name="a:b"), layers.Dense(3))
    nodes, _ = parsed(channel_groups(model).to_dot())
    assert labels(nodes)[0] == r"a:b\n5"
