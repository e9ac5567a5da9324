"""Which example environments there are, and how to make one. Light: importing it loads no physics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mlagents_envs.exception import UnityEnvironmentException, UnknownExampleException
from mlagents_envs.names import nearest

if TYPE_CHECKING:
    from mlagents_envs.examples.example import ExampleEnv

_WHERE = {  # name -> module and class
    "3DBall": ("mlagents_envs.examples.ball3d", "Ball3D"),
    "3DBallHard": ("mlagents_envs.examples.ball3d", "Ball3DHard"),
    "Visual3DBall": ("mlagents_envs.examples.ball3d_visual", "Visual3DBall"),
    "Basic": ("mlagents_envs.examples.basic", "Basic"),
    "FoodCollector": ("mlagents_envs.examples.foodcollector", "FoodCollector"),
    "VisualFoodCollector": ("mlagents_envs.examples.foodcollector_visual", "VisualFoodCollector"),
    "GridWorld": ("mlagents_envs.examples.gridworld", "GridWorld"),
    "Hallway": ("mlagents_envs.examples.hallway", "Hallway"),
    "Match3": ("mlagents_envs.examples.match3", "Match3"),
    "Match3Visual": ("mlagents_envs.examples.match3", "Match3Visual"),
    "PushBlock": ("mlagents_envs.examples.pushblock", "PushBlock"),
    "Pyramids": ("mlagents_envs.examples.pyramids", "Pyramids"),
    "PushBlockCollab": ("mlagents_envs.examples.pushblock_collab", "PushBlockCollab"),
    "SoccerTwos": ("mlagents_envs.examples.soccer", "SoccerTwos"),
    "Sorter": ("mlagents_envs.examples.sorter", "Sorter"),
    "WallJump": ("mlagents_envs.examples.walljump", "WallJump"),
    "Crawler": ("mlagents_envs.examples.crawler", "Crawler"),
    "Walker": ("mlagents_envs.examples.walker", "Walker"),
    "Worm": ("mlagents_envs.examples.worm", "Worm"),
}
_NEEDS = {"numba": "examples", "mujoco": "locomotion"}  # module -> extra that brings it
NAMES = tuple(_WHERE)
MOST_AREAS = 10**6


def check_name(name: str) -> None:
    """Raise UnknownExampleException, with the near and the known names, unless there is such an example."""
    if name in _WHERE:
        return
    near = nearest(name, NAMES)
    guess = f"; did you mean '{near[0]}'?" if near else "."
    raise UnknownExampleException(f"builtin:{name}: no such example{guess} Known: {', '.join(NAMES)}")


def make(name: str, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> ExampleEnv:
    """Return an example environment with this many areas, as many as Unity's scene has if None.

    renew_ids: agents get a new id for each episode, instead of keeping theirs as in Unity.
    Raises UnknownExampleException for an unknown name, UnityEnvironmentException for a number of areas or a seed
    that cannot be, and where numba or MuJoCo is missing and the example needs it.
    """
    check_name(name)
    if areas is not None and not 1 <= areas <= MOST_AREAS:
        raise UnityEnvironmentException(
            f"builtin:{name}: areas is {areas}; there must be at least 1 and at most {MOST_AREAS:,}"
        )
    if seed < 0:
        raise UnityEnvironmentException(f"builtin:{name}: seed is {seed}; it must not be negative")
    module, kind = _WHERE[name]
    try:
        example = import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDS:
            raise
        raise UnityEnvironmentException(
            f"builtin:{name}: {error.name} is not installed, and the physics needs it; "
            f"pip install 'mlagents-envs[{_NEEDS[error.name]}]'"
        ) from error
    env: ExampleEnv = getattr(example, kind)(areas=areas, seed=seed, renew_ids=renew_ids)
    return env
