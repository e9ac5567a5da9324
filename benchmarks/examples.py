"""How fast are the example environments? Agent-decisions per CPU second of one core, random play.

    python benchmarks/examples.py [--areas 12 128 1024] [--seconds 2] [NAME ...]

Physics, observations, rewards, resets and the low-level API are counted; drawing random actions is not. The bounds are
for 128 areas. Ends with status 1 if one is missed.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import NAMES, make
from mlagents_envs.examples.example import ExampleEnv

BOUNDS = {
    "3DBall": 2_000_000, "PushBlock": 250_000, "Hallway": 250_000, "Visual3DBall": 8_000, "VisualFoodCollector": 4_000,
}  # fmt: skip
BOUND = 100_000  # of all others
FREE = {"Basic", "Crawler", "Walker", "Worm"}  # too small to matter, or simulated by MuJoCo
TABLES = 64  # tables of random actions that take turns


def speed(env: ExampleEnv, seconds: float) -> float:
    """Return decisions per CPU second."""
    rng, spec = np.random.default_rng(0), env.SPEC.action_spec
    tables = [
        ActionTuple(
            rng.uniform(-1, 1, (env.n, spec.continuous_size)).astype(np.float32),
            rng.integers(0, spec.discrete_branches or 1, (env.n, spec.discrete_size), dtype=np.int32),
        )
        for _ in range(TABLES)
    ]
    env.reset()
    for table in tables[:8]:  # kernels are compiled, or come from their cache
        answer(env, table)
        env.step()
    decisions, begin = 0, time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        for table in tables:
            decisions += answer(env, table)
            env.step()
    return decisions / spent


def answer(env: ExampleEnv, table: ActionTuple) -> int:
    """Give as many of the actions to each behavior as it asks for; return how many."""
    given = 0
    for behavior in env.behavior_specs:
        n = len(env.get_steps(behavior)[0])
        if n:
            env.set_actions(behavior, ActionTuple(table.continuous[:n], table.discrete[:n]))
        given += n
    return given


def main() -> int:
    """Measure, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--areas", type=int, nargs="+", default=[12, 128, 1024])
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time of each measurement")
    flags = parser.parse_args()
    print(f"{'thousand decisions per CPU second':34s}" + "".join(f"{areas:>8d}" for areas in flags.areas) + "   bound")
    missed = []
    for name in flags.names or NAMES:
        found = {areas: speed(make(name, areas=areas), flags.seconds) for areas in flags.areas}
        bound = 0 if name in FREE else BOUNDS.get(name, BOUND)
        missed += [name] if found.get(128, bound) < bound else []
        print(f"{name:34s}" + "".join(f"{one / 1000:8.0f}" for one in found.values())
              + (f"{bound / 1000:8.0f}" if bound else f"{'-':>8s}"), flush=True)  # fmt: skip
    print(f"missed: {', '.join(missed)}" if missed else "every bound is met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
