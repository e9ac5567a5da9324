"""Compares recordings made in Unity with the example environments: physics, observations and returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlagents_envs.demonstrations.file import Align, read
from mlagents_envs.examples.ball3d import Ball3D
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.policy import AgentPolicy

EXACT = 0.05  # m/s, largest error of a predicted velocity
HIGH_UP = 5.0  # m, height from which an agent falls for longer than a decision


def ball_errors(demo: Path, *, align: Align = "auto") -> dict[str, float]:
    """Return the median error of one decision's prediction from each recorded state of 3DBall.

    position in m, velocity in m/s, quaternion as it is. A recording lacks the ball's spin: it is taken to roll where it
    lies, and not to spin where it falls. align: as in `demonstrations.file.read`.
    """
    rows = read(demo, align=align).transitions()
    env = Ball3D(areas=len(rows))
    env.reset()
    env.state[:] = ball_states(rows.obs[0])
    env.set_actions(env.behavior, rows.action)
    env.step()
    decision, _ = env.get_steps(env.behavior)
    continues = ~rows.done
    continues[env.ended_rows(env.behavior)] = False
    off = (decision.obs[0] - rows.next_obs[0])[continues]
    parts = {"position": off[:, 2:5], "velocity": off[:, 5:8], "quaternion": off[:, :2]}
    return {name: float(np.median(np.linalg.norm(part, axis=1))) for name, part in parts.items()}


def ball_states(seen: Array) -> Array:
    """Return the (n, 13) states of 3DBall for (n, 8) observations."""
    z, x = seen[:, 0], seen[:, 1]
    y = -x * z  # as after turning about x and then z
    w = np.sqrt(np.maximum(1 - x * x - y * y - z * z, 0))
    up = np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], 1)  # of the platform
    height = (seen[:, 2:5] * up).sum(1)
    lies = np.abs(height - 3.0) < 0.05
    spin = np.where(lies[:, None], np.cross(up, seen[:, 5:8]) / 0.5, 0)
    return np.concatenate([np.stack([w, x, y, z], 1), seen[:, 2:8], spin], 1).astype(np.float32)


def predicted_velocities(demo: Path, *, align: Align = "auto") -> float:
    """Return the share of recorded decisions of Pyramids whose next velocity is predicted in an empty arena.

    Where it is not, the agent had touched something. align: as in `demonstrations.file.read`.
    """
    from mlagents_envs.examples.pyramids import Pyramids
    from mlagents_envs.examples.pyramids_numba import AGENT

    rows = read(demo, align=align).transitions()
    felt = rows.obs[3]
    env = Pyramids(areas=len(felt))
    env.reset()
    bodies = env.state.bodies
    bodies["on"][:, AGENT + 1 :] = False
    agent = bodies[:, AGENT]
    agent["yaw"] = 0.0
    agent["vx"], agent["climb"], agent["vz"] = felt[:, 1], felt[:, 2], felt[:, 3]
    agent["low"] = np.where(felt[:, 2] < -0.1, HIGH_UP, 0.0)
    agent["high"] = agent["low"] + 1.0
    env.set_actions(env.behavior, rows.action)
    env.step()
    error = np.linalg.norm((env.get_steps(env.behavior)[0].obs[3] - rows.next_obs[3])[:, 1:], axis=1)
    return float((error[~rows.done] < EXACT).mean())


@dataclass(frozen=True)
class Likeness:
    """A policy's observations and return here, compared with a recording of Unity."""

    sight: float  # mean difference of ray observations, from 0 to 1
    here: float  # mean return of whole episodes
    there: float


def likeness(name: str, player: AgentPolicy, demo: Path, *, areas: int, decisions: int, seed: int) -> Likeness:
    """Return how a policy's episodes in an example of one behavior compare with the recorded ones."""
    recorded = read(demo)
    env = make(name, areas=areas, seed=seed)
    env.reset()
    player.reset()
    rays = [k for k, sensor in enumerate(env.SPEC.observation_specs) if "Ray" in sensor.name]
    seen = [np.zeros(env.SPEC.observation_specs[k].shape) for k in rays]
    earned, whole = np.zeros(env.n), list[float]()
    for _ in range(decisions):
        before, ended = env.get_steps(env.behavior)
        for total, k in zip(seen, rays, strict=True):
            total += before.obs[k].mean(0)
        env.set_actions(env.behavior, player(before, ended))
        env.step()
        decision, terminal = env.get_steps(env.behavior)
        earned += decision.reward
        rows = env.ended_rows(env.behavior)
        whole += (earned[rows] + terminal.reward).tolist()
        earned[rows] = 0.0
    off = [np.abs(total / decisions - recorded.obs[k].mean(0)) for total, k in zip(seen, rays, strict=True)]
    until = np.flatnonzero(recorded.done)[-1] + 1  # an unfinished episode has no return
    there = recorded.reward[:until].sum() / recorded.done.sum()
    return Likeness(float(np.concatenate(off).mean()), float(np.mean(whole)), float(there))
