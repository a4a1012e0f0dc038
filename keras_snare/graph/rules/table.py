"""The table itself, and how a rule enters it."""

from collections.abc import Callable

from keras_snare.graph.channels import AxisLabels
from keras_snare.graph.view import CallView

Rule = Callable[[CallView], list[AxisLabels]]

RULES: dict[type, Rule] = {}


def row(*classes: type) -> Callable[[Rule], Rule]:
    """Enters a rule for layer classes."""

    def enter(rule: Rule) -> Rule:
        for layer_class in classes:
            RULES[layer_class] = rule
        return rule

    return enter


def rule_for(operation) -> Rule | None:
    """Returns the rule of an operation's own class.

    A subclass may compute something else, so it does not inherit the rule of its parent.
    """
    return RULES.get(type(operation))
