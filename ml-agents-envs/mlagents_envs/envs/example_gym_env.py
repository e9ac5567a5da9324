"""The example scenes as gymnasium's environments: one agent, or as many lanes as there are areas."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from gymnasium import spaces

from mlagents_envs.base_env import Array, BaseEnv, DecisionSteps, TerminalSteps
from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.envs.one_behavior import OneBehavior
from mlagents_envs.envs.spaces import observation, observation_space
from mlagents_envs.envs.unity_gym_env import UnityToGymWrapper
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import ExampleEnv, Sampler
from mlagents_envs.examples.look.look import draw, look_of
from mlagents_envs.watch.pictures import SIZE, Photographer

Parameters = Mapping[str, float | Sampler]


class ExampleGymEnv(UnityToGymWrapper):
    """One agent in one area of an example scene, whatever its sensors: a Box for one sensor, else a Dict of them all.

    Without a seed, each environment begins in its own way.
    """

    def __init__(
        self, name: str, *, render_mode: str | None = None, seed: int | None = None,
        parameters: Parameters | None = None, size: tuple[int, int] = SIZE,
    ) -> None:  # fmt: skip
        """parameters: environment parameters of the scene, values or samplers. size: width and height of pictures.

        Raises UnityGymException for a scene in whose areas several agents play, and where a picture is asked for and
        numba is missing; UnknownExampleException for an unknown name.
        """
        self._example = make_alone(name, 1, seed=seed, parameters=parameters)
        self._look = look_of(self._example)
        self._size = size
        self._photographer: Photographer | None = None
        self.metadata = {**self.metadata, "render_fps": round(1 / self._look.seconds)}
        super().__init__(under_one_behavior(self._example), render_mode=render_mode)

    def render(self) -> Array | None:
        """Return a picture of the area as (height, width, 3) uint8 in mode "rgb_array", else None."""
        if self.render_mode is None:
            return None
        drawing = draw(self._example, range(1))
        if self._photographer is None:  # the camera stays where it saw the scene first
            self._photographer = Photographer(drawing, self._look, size=self._size)
        return self._photographer.picture(drawing)

    # what differs from any environment's face

    def _see(self, steps: DecisionSteps | TerminalSteps) -> Any:
        return observation(self.group_spec, [column[0] for column in steps.obs])

    def _observation_space(self) -> spaces.Space[Any]:
        return observation_space(self.group_spec)

    def _possible(self, render_mode: str | None) -> str | None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UnityGymException(f"render_mode is {render_mode!r}; it must be 'rgb_array' or None")
        if render_mode is not None and find_spec("numba") is None:
            raise UnityGymException(
                f"render_mode is {render_mode!r}: painting needs numba; pip install 'mlagents-envs[examples]', "
                "or omit it"
            )
        return render_mode


def make_lanes(
    name: str, num_envs: int = 1, *, render_mode: None = None, seed: int | None = None,
    parameters: Parameters | None = None,
) -> UnityVectorEnv:  # fmt: skip
    """Return an example scene with so many areas, whose agents are stepped together: what `gymnasium.make_vec` makes.

    Raises what ExampleGymEnv raises, and UnityGymException for a render mode.
    """
    if render_mode is not None:
        raise UnityGymException(
            f"render_mode is {render_mode!r}, but lanes are not painted: omit it, or say vectorization_mode='sync'"
        )
    return UnityVectorEnv(under_one_behavior(make_alone(name, num_envs, seed=seed, parameters=parameters)))


def make_alone(name: str, areas: int, *, seed: int | None, parameters: Parameters | None) -> ExampleEnv:
    """Return a scene in each of whose areas one agent plays. seed: None for one that nobody had."""
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    example = make(name, areas=areas, seed=seed)
    if example.PER_AREA > 1:
        raise UnityGymException(
            f"builtin:{name}: {example.PER_AREA} agents play in each area, but a gymnasium.Env has one; use PettingZoo "
            "instead: mlagents_envs.envs.unity_parallel_env.UnityParallelEnv("
            f"mlagents_envs.examples.catalog.make('{name}'))"
        )
    if strange := sorted((parameters or {}).keys() - example.PARAMETERS.keys()):
        known = ", ".join(example.PARAMETERS) or "none"
        raise UnityGymException(f"builtin:{name}: there is no environment parameter '{strange[0]}'; there is: {known}")
    example.set_parameters(parameters or {})
    return example


def under_one_behavior(example: ExampleEnv) -> BaseEnv:
    """Return a scene, or where its agents play several behaviors in turn, all of them as one."""
    return OneBehavior(example) if len(example.BEHAVIORS) > 1 else example
