"""The table itself, and how a rule enters it."""

from collections.abc import Callable

from keras_snare.graph.channels import AxisLabels
from keras_snare.graph.trace import function_name
from keras_snare.graph.view import CallView

Rule = Callable[[CallView], list[AxisLabels]]

RULES: dict[type, Rule] = {}
OPERATIONS: dict[str, Rule] = {}
NOT_WRAPPED: set[type] = set()


def row(*classes: type, wrapped: bool = True) -> Callable[[Rule], Rule]:
    """Enters a rule for layer classes.

    Args:
        *classes: the classes.
        wrapped: bool, whether it can do without the arguments of the call, which are not known
            where a wrapper makes it.
    """

    def enter(rule: Rule) -> Rule:
        for layer_class in classes:
            RULES[layer_class] = rule
            NOT_WRAPPED.update(() if wrapped else (layer_class,))
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
