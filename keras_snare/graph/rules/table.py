"""The table itself, and how a rule enters it."""

from collections.abc import Callable

from keras_snare.graph.channels import AxisLabels
from keras_snare.graph.trace import function_name
from keras_snare.graph.view import CallView

Rule = Callable[[CallView], list[AxisLabels]]

RULES: dict[type, Rule] = {}
OPERATIONS: dict[str, Rule] = {}


def row(*classes: type) -> Callable[[Rule], Rule]:
    """Enters a rule for layer classes."""

    def enter(rule: Rule) -> Rule:
        for layer_class in classes:
            RULES[layer_class] = rule
        return rule

    return enter


def operation(*names: str) -> Callable[[Rule], Rule]:
    """Enters a rule for functions of `keras.ops`, and for layers of applications, by name."""

    def enter(rule: Rule) -> Rule:
        OPERATIONS.update(dict.fromkeys(names, rule))
        return rule

    return enter


def rule_for(operation) -> Rule | None:
    """Returns the rule of an operation's own class.

    A subclass may compute something else, so it does not inherit the rule of its parent.
    """
    if type(operation) in RULES:
        return RULES[type(operation)]
    name = function_name(operation)
    return None if name is None else OPERATIONS.get(name)
