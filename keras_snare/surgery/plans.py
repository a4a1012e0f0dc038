"""Plans and the channels that they mean."""

import numpy as np

from keras_snare.errors import InvalidPlanError
from keras_snare.graph import READER, ChannelGroups
from keras_snare.records import PrunePlan, WidthChange


def removed_channels(groups: ChannelGroups, plan: PrunePlan) -> np.ndarray:
    """Translates a plan into the channels (roots) that go.

    Raises:
        InvalidPlanError: when the plan names an unknown layer or unit, keeps nothing of a layer,
            contradicts itself, or asks for what cannot be cut.
    """
    removed: list[int] = []
    kept: dict[int, str] = {}
    for layer, keep in plan.keep.items():
        units = _unit_roots(groups, layer, keep)
        stay = np.zeros(len(units), dtype=bool)
        stay[list(keep)] = True
        kept.update(dict.fromkeys(units[stay].tolist(), layer))
        removed.extend(units[~stay].tolist())
    contradicted = sorted(set(removed) & kept.keys())
    if contradicted:
        raise InvalidPlanError(
            f"The plan keeps units of layer {kept[contradicted[0]]!r} that are coupled to units "
            "which it removes. Give coupled layers the same units to keep; "
            "print(keras_snare.channel_groups(model)) shows what is coupled."
        )
    _check_frozen(groups, set(removed))
    _check_emptied(groups, removed)
    return np.array(sorted(set(removed)), dtype=np.int64)


def _unit_roots(groups: ChannelGroups, layer: str, keep: tuple[int, ...]) -> np.ndarray:
    if layer not in groups:
        known = ", ".join(name for group in groups.prunable() for name in group.layers)
        raise InvalidPlanError(
            f"The plan names layer {layer!r}, which has no units to cut. Layers that have: "
            f"{known or 'none'}."
        )
    units = groups.units(layer)
    if not keep:
        raise InvalidPlanError(
            f"The plan keeps none of the {len(units)} units of layer {layer!r}. Keep at least one."
        )
    if keep[0] < 0 or keep[-1] >= len(units):
        raise InvalidPlanError(
            f"Layer {layer!r} has units 0 to {len(units) - 1}. Received the indices "
            f"{keep[0]} to {keep[-1]}."
        )
    return units


def _check_frozen(groups: ChannelGroups, removed: set[int]) -> None:
    for group in groups:
        hit = [at for at, root in enumerate(group.roots.tolist()) if root in removed]
        frozen = [at for at in hit if at in group.reasons]
        if frozen:
            raise InvalidPlanError(
                f"Unit {frozen[0]} of layer {group.name!r} cannot be cut: "
                f"{group.reasons[frozen[0]]}. Leave it out of the plan."
            )


def _check_emptied(groups: ChannelGroups, removed: list[int]) -> None:
    for group in groups:
        emptied = [name for name in group.layers if np.isin(groups.units(name), removed).all()]
        emptied += [
            one.binding.name
            for one in group.with_role(READER)
            if np.isin(groups.roots[one.binding.labels], removed).all()
        ]
        if emptied:
            raise InvalidPlanError(
                f"The plan keeps none of the units of layer {emptied[0]!r}, which are coupled to "
                f"those of layer {group.name!r}. Keep at least one of them."
            )


def width_changes(groups: ChannelGroups, removed: np.ndarray) -> tuple[WidthChange, ...]:
    """Returns the groups that become narrower, and by how much."""
    changes = []
    for group in groups:
        after = int((~np.isin(group.roots, removed)).sum())
        if after < group.width:
            changes.append(WidthChange(group.name, group.width, after))
    return tuple(changes)


def plan_for(groups: ChannelGroups, removed: np.ndarray) -> PrunePlan:
    """Returns the plan that removes the given channels; it names every layer that loses units."""
    stays = {
        layer: ~np.isin(groups.units(layer), removed) for group in groups for layer in group.layers
    }
    return PrunePlan(
        {
            layer: tuple(np.flatnonzero(stay).tolist())
            for layer, stay in stays.items()
            if not stay.all()
        }
    )
