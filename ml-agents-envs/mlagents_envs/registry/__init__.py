"""Named environments: the examples of this package, which need no network, and builds from manifests."""

from mlagents_envs.examples.catalog import NAMES
from mlagents_envs.registry.builtin_registry_entry import BuiltinRegistryEntry
from mlagents_envs.registry.unity_env_registry import UnityEnvRegistry

__all__ = ["UnityEnvRegistry", "default_registry"]

HOSTED = "https://storage.googleapis.com/mlagents-test-environments/1.1.0/manifest.yaml"

default_registry = UnityEnvRegistry()
default_registry.register_from_yaml(HOSTED)
for _name in NAMES:  # after the manifest, so that it is not read for one of them
    default_registry.register(BuiltinRegistryEntry(_name))
