"""Whether the trainer of a behavior supports it, and which trainers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlagents.algorithms.capabilities import Capabilities, Needs
from mlagents.algorithms.settings import OfflineHyperparamSettings
from mlagents.envs.pool import behavior_name
from mlagents.plugins.catalog import Catalog, PluginError
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents_envs.base_env import BehaviorSpec


def unsupported(options: RunOptions) -> list[str]:
    """Return a sentence for each section that is valid but not implemented yet."""
    found = []
    if options.torch_settings.device not in (None, "cpu"):
        found.append(f"--torch-device: '{options.torch_settings.device}' is not built yet; 'cpu' is")
    return found


def incompatibilities(options: RunOptions, specs: Mapping[str, BehaviorSpec]) -> list[str]:
    """Return a sentence for each behavior whose trainer cannot learn it; loads the trainers.

    specs: of behaviors that are known already, as the environment names them.
    """
    catalog = Catalog(options.plugins)
    known = {behavior_name(name): spec for name, spec in specs.items()}
    entries = {f"behaviors.{name}": (settings, known.get(name)) for name, settings in options.behaviors.items()}
    for name, spec in known.items():
        if name not in options.behaviors and options.default_settings is not None:
            entries[f"default_settings, for {name}"] = (options.default_settings, spec)
    found = (incompatibility(catalog, place, settings, spec) for place, (settings, spec) in entries.items())
    return [sentence for sentence in found if sentence is not None]


def incompatibility(catalog: Catalog, place: str, settings: TrainerSettings, spec: BehaviorSpec | None) -> str | None:
    """Return why a trainer cannot learn a behavior and which can, or None if it can. spec: None if not known yet."""
    needs = needs_of(settings, spec)
    lacks = capabilities_of(catalog, settings.trainer_type).lacks(needs)
    if lacks is None:
        return None
    able_names = ", ".join(able(catalog, needs)) or "none"
    return f"{place}.trainer_type: '{settings.trainer_type}' cannot learn with {lacks}; those who can: {able_names}"


def needs_of(settings: TrainerSettings, spec: BehaviorSpec | None) -> Needs:
    """Return what a behavior and its settings need. spec: None if not known yet."""
    network = settings.network_settings
    sensors = [] if spec is None else [sensor.name for sensor in spec.observation_specs]
    return replace(
        Needs() if spec is None else Needs.of_actions(spec.action_spec),
        memory=network.memory is not None,
        asymmetric=bool(network.critic_only) or any(map(network.is_critic_only, sensors)),
        demonstrations=settings.demonstrations is not None,
        several_signals=len(settings.reward_signals) > 1,
    )


def able(catalog: Catalog, needs: Needs) -> list[str]:
    """Return the names of all trainers of agents that support these needs."""
    return [name for name in catalog.names() if _does(catalog, name, needs)]


def _does(catalog: Catalog, name: str, needs: Needs) -> bool:
    try:
        kind = catalog.find(name)
        offline = kind is not None and issubclass(kind.settings, OfflineHyperparamSettings)
        return not offline and capabilities_of(catalog, name).lacks(needs) is None
    except PluginError:  # a broken plug-in is no candidate
        return False


def capabilities_of(catalog: Catalog, name: str) -> Capabilities:
    """Return the declared capabilities of a trainer; raises PluginError if it cannot be loaded."""
    kind = catalog.find(name)
    if kind is None:
        raise PluginError(f"'{name}' is no known trainer")
    capabilities: Capabilities = getattr(kind.trainer(), "capabilities", Capabilities())
    return capabilities
