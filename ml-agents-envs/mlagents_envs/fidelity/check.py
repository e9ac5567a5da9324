"""Tests the fidelity of the example environments with Unity's own policies and recordings.

    python -m mlagents_envs.fidelity.check --reference FOLDER

FOLDER holds `onnx/3DBall.onnx` and others, trained in Unity, and `demos/Expert3DBall.demo` and others, recorded there.
Prints each policy's mean return, a random policy's and Unity's benchmark, how often it beats a random policy where
two teams play, how well the physics predicts recordings, and how observations and returns compare with recordings. Ends
with status 1 if a bound is missed, 2 if there is nothing to test.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BehaviorSpec,
    DecisionSteps,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.policy import AgentPolicy, ModelPolicy
from mlagents_envs.exception import UnityPolicyException
from mlagents_envs.fidelity.replay import ball_errors, likeness, predicted_velocities
from mlagents_envs.output import command

AREAS = 128  # the first whole episode of each of their agents counts
NONE = -1  # the episode of an agent without one


@dataclass(frozen=True)
class Trial:
    """A policy of Unity's and the mean return that it must reach."""

    name: str  # of the behavior, and of the file unless `model` names another
    bound: float | None  # mean return that must be reached; None: not measured yet
    benchmark: str  # from Unity's documentation
    decisions: int  # enough for every first episode to end
    areas: int = AREAS
    scene: str = ""  # if its name is another
    model: str = ""
    goal: int | None = None  # that the policy was trained for, if it observes none: agents with others do not count
    settle: int = 0  # decisions before episodes count, where the first ones start differently

    @property
    def example(self) -> str:
        """The name of the scene."""
        return self.scene or self.name

    @property
    def files(self) -> tuple[str, ...]:
        """Under which names its model may lie in a folder."""
        return (self.model,) if self.model else tuple(dict.fromkeys((self.name, self.example)))


TRIALS = (
    Trial("3DBall", 99.0, "100", 1001),
    Trial("3DBallHard", 95.0, "100", 1001),
    Trial("Basic", 0.92, "0.93", 200),
    Trial("GridWorld", 0.8, "0.8", 101, areas=2 * AREAS, model="GridWorldColab", goal=0),
    Trial("PushBlock", 4.8, "4.5", 1001),
    Trial("PushBlockCollab", 11.0, "11", 1001),
    Trial("Pyramids", 1.7, "1.75", 1001),
    Trial("Hallway", None, "0.7", 501),
    Trial("SmallWallJump", None, "0.8", 801, scene="WallJump", settle=200),  # agents keep their direction
    Trial("BigWallJump", None, "0.8", 801, scene="WallJump", settle=200),
    Trial("Sorter", None, "-", 1001),
    Trial("GridFoodCollector", None, "10", 1001, areas=26, scene="FoodCollector"),
    Trial("Visual3DBall", None, "100", 1001, areas=16),
    Trial("VisualFoodCollector", None, "-", 1001, areas=4),
    Trial("Match3VectorObs", None, "38.5", 501, scene="Match3"),
    Trial("Match3VisualObs", None, "39.5", 501, scene="Match3Visual"),
)


@dataclass(frozen=True)
class Duel:
    """A policy of Unity's for two teams, and the share of games it must win against a random policy."""

    name: str
    bound: float  # share of decided games that must be won
    decisions: int
    areas: int = 64

    @property
    def files(self) -> tuple[str, ...]:
        """Under which names its model may lie in a folder."""
        return (self.name,)


DUELS = (Duel("SoccerTwos", 0.8, 250),)
POSITION_BOUND = 0.01  # m, median
PREDICTED_BOUND = 0.8  # share of decisions; in the others, the recorded agent touched something


@dataclass(frozen=True)
class Comparison:
    """A recording, and by how much a policy's episodes here may differ from it."""

    name: str
    demo: str
    sight: float  # mean difference of ray observations
    earnings: float  # difference of mean returns


COMPARISONS = (
    Comparison("PushBlock", "ExpertPushBlock.demo", 0.05, 0.1),
    Comparison("Pyramids", "ExpertPyramid.demo", 0.1, 0.2),
)


class EpisodeReturns:
    """Sums the rewards of each episode of some behaviors' agents, whether they keep their ids or not.

    Episodes are numbered in the order in which they begin; an agent of one that ended may begin another.
    """

    def __init__(self) -> None:
        self.total = np.zeros(0)
        self._of = np.zeros(0, np.int64)  # of each agent by id: its running episode, or NONE

    def end(self, terminal: TerminalSteps) -> None:
        """Add the terminal steps of a step, before its decision steps."""
        self._earn(terminal)
        self._of[terminal.agent_id] = NONE

    def ask(self, decision: DecisionSteps) -> Array:
        """Add the decision steps of a step; return the (n,) running episodes of their agents."""
        more = int(decision.agent_id.max(initial=NONE)) + 1 - len(self._of)
        self._of = np.append(self._of, np.full(max(more, 0), NONE))
        self._earn(decision)
        begins = decision.agent_id[self._of[decision.agent_id] == NONE]
        self._of[begins] = len(self.total) + np.arange(len(begins))
        self.total = np.append(self.total, np.zeros(len(begins)))
        running: Array = self._of[decision.agent_id]
        return running

    def _earn(self, steps: DecisionSteps | TerminalSteps) -> None:
        """Add rewards to running episodes; rewards before an episode begins are dropped."""
        episode = self._of[steps.agent_id]
        inside = episode != NONE
        self.total[episode[inside]] += (steps.reward + steps.group_reward)[inside]


def scores(
    name: str,
    player: AgentPolicy,
    decisions: int,
    seed: int,
    *,
    areas: int = AREAS,
    goal: int | None = None,
    behavior: str = "",
    others: Mapping[str, AgentPolicy] | None = None,
    settle: int = 0,
) -> Array:
    """Return the (agents,) return of each agent's first episode; one that did not end counts as it stands.

    goal: only episodes with this one count; behavior: only agents of this one count, all if empty, and others play as
    `others` has it, at random where it has nothing; settle: episodes count that begin after so many decisions, and
    before twice as many, not the first.
    """
    env = make(name, areas=areas, seed=seed)
    env.reset()
    random = UnmaskedRandomPolicy(env.SPEC.action_spec, seed)
    short = {one: one.partition("?")[0] for one in env.behavior_specs}
    playing = [one for one in short if behavior in ("", short[one])]
    players = {one: player if one in playing else (others or {}).get(short[one], random) for one in short}
    for its_player in players.values():
        its_player.reset()
    episodes, counts = EpisodeReturns(), np.zeros(0, np.int64)
    for one in playing:
        decision, _ = env.get_steps(one)
        first = episodes.ask(decision)
        if not settle:
            counts = np.append(counts, first if goal is None else first[decision.obs[-1][:, goal] == 1])
    for now in range(1, decisions + 1):
        for one, its_player in players.items():
            decision, terminal = env.get_steps(one)
            action = its_player(decision, terminal)
            if len(decision):
                env.set_actions(one, action)
        env.step()
        for one in playing:
            episodes.end(env.get_steps(one)[1])
        begun = len(episodes.total)
        running = np.concatenate([episodes.ask(env.get_steps(one)[0]) for one in playing])
        if settle < now <= 2 * settle:
            counts = np.append(counts, running[running >= begun])
        if now >= 2 * settle and not np.isin(running, counts).any():
            break
    counted: Array = episodes.total[counts]
    return counted


def games(name: str, players: Sequence[AgentPolicy], decisions: int, seed: int, *, areas: int) -> tuple[int, int]:
    """Return how many games of two teams the first player won, and the second; those without a winner do not count."""
    env = make(name, areas=areas, seed=seed)
    env.reset()
    for player in players:
        player.reset()
    won = [0, 0]
    for _ in range(decisions):
        for behavior, player in zip(env.behavior_specs, players, strict=True):
            env.set_actions(behavior, player(*env.get_steps(behavior)))
        env.step()
        for team, behavior in enumerate(env.behavior_specs):
            terminal = env.get_steps(behavior)[1]
            won[team] += len(np.unique(terminal.group_id[terminal.group_reward > 0]))
    return won[0], won[1]


def unity_policy(model: Path, name: str, *, with_goal: bool = True) -> AgentPolicy:
    """Return the policy of a model in an example; with_goal: it observes the goal, where there is one.

    Raises UnityPolicyException if it was trained for something else.
    """
    spec = make(name, areas=1).SPEC
    goal = ObservationType.GOAL_SIGNAL
    seen = [sensor for sensor in spec.observation_specs if with_goal or sensor.observation_type != goal]
    return ModelPolicy(model, BehaviorSpec(seen, spec.action_spec), behavior=f"builtin:{name}")


def random_policy(name: str, seed: int) -> AgentPolicy:
    """Return a policy that takes any action."""
    return UnmaskedRandomPolicy(make(name, areas=1).SPEC.action_spec, seed)


class UnmaskedRandomPolicy:
    """Uniform random actions, masked choices included."""

    def __init__(self, spec: ActionSpec, seed: int) -> None:
        self._spec = spec
        self._rng = np.random.default_rng(seed)

    def reset(self) -> None:
        """Do nothing: it has no memory, and the generator continues."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        n, spec = len(decision), self._spec
        continuous = self._rng.uniform(-1, 1, (n, spec.continuous_size)).astype(np.float32)
        discrete = self._rng.integers(0, spec.discrete_branches or 1, (n, spec.discrete_size), dtype=np.int32)
        return ActionTuple(continuous, discrete)


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mlagents_envs.fidelity.check",
        description="Test the fidelity of the example environments with Unity's own policies and recordings.",
    )
    parser.add_argument("--reference", type=Path, required=True, help="folder with onnx/ and demos/ made in Unity")
    parser.add_argument("--seed", type=int, default=0, help="of the environments (default 0)")
    flags = parser.parse_args(argv)
    models = {it.name: path for it in (*TRIALS, *DUELS) if (path := find_model(flags.reference / "onnx", it.files))}
    demos = flags.reference / "demos"
    if not demos.is_dir() and not models:
        print(f"{flags.reference} holds neither onnx/3DBall.onnx nor demos/Expert3DBall.demo: nothing to test")
        return 2
    try:
        missed = try_policies(models, flags.seed)
        missed += try_duels(models, flags.seed)
        missed += try_physics(demos)
        missed += try_likeness(flags.reference, flags.seed)
    except ModuleNotFoundError as error:
        print(f"Playing Unity's policies needs {error.name}: pip install {error.name}")
        return 2
    print("\nmissed: " + ", ".join(missed) if missed else "\nevery bound is met")
    return 1 if missed else 0


def try_policies(models: Mapping[str, Path], seed: int) -> list[str]:
    """Print how Unity's policies score, and return the names of those that miss their bound."""
    row = "{:17s} {:>16s} {:>8s} {:>13s} {:>17s} {:>9s}"
    print(row.format("environment", "Unity's policy", "bound", "random play", "Unity's benchmark", "agents"))
    missed = []
    for trial in TRIALS:
        if (model := models.get(trial.name)) is None:
            continue
        try:
            policy = unity_policy(model, trial.example, with_goal=trial.goal is None)
            others = {
                it.name: unity_policy(models[it.name], it.example)
                for it in TRIALS
                if it.example == trial.example and it is not trial and it.name in models
            }
        except UnityPolicyException as error:
            print(f"{trial.name:17s} {error}")
            missed.append(trial.name)
            continue
        unity_returns, random_returns = (
            scores(trial.example, player, trial.decisions, seed, areas=trial.areas, goal=trial.goal,
                   behavior=trial.name if trial.scene else "", others=others, settle=trial.settle)
            for player in (policy, random_policy(trial.example, seed))
        )  # fmt: skip
        bound = "-" if trial.bound is None else f"{trial.bound:g}"
        print(row.format(trial.name, f"{unity_returns.mean():.3f}", bound, f"{random_returns.mean():.3f}",
                         trial.benchmark, str(len(unity_returns))))  # fmt: skip
        missed += [trial.name] if trial.bound is not None and unity_returns.mean() < trial.bound else []
    if absent := [trial.name for trial in TRIALS if trial.name not in models]:
        print("not tested, without a model: " + ", ".join(absent))
    return missed


def find_model(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first model of these names that there is."""
    return next((path for name in names if (path := folder / f"{name}.onnx").is_file()), None)


def try_duels(models: Mapping[str, Path], seed: int) -> list[str]:
    """Print how often Unity's policies beat random play, and return the names of those that miss their bound."""
    missed = []
    for duel in DUELS:
        if (model := models.get(duel.name)) is None:
            print(f"\n{duel.name} was not tested, without a model")
            continue
        trained, random = unity_policy(model, duel.name), random_policy(duel.name, seed)
        won, lost = games(duel.name, (trained, random), duel.decisions, seed, areas=duel.areas)
        lost_away, won_away = games(duel.name, (random, trained), duel.decisions, seed, areas=duel.areas)
        share = (won + won_away) / max(won + won_away + lost + lost_away, 1)
        print(f"\n{duel.name}: Unity's policy beats random play in {won} of {won + lost} decided games as the first "
              f"team, in {won_away} of {won_away + lost_away} as the second; bound {duel.bound:.0%}")  # fmt: skip
        missed += [duel.name] if share < duel.bound else []
    return missed


def try_physics(demos: Path) -> list[str]:
    """Print how well decisions are predicted, and return what misses its bound."""
    missed = []
    if (demo := demos / "Expert3DBall.demo").is_file():
        errors = ball_errors(demo)
        print(f"\n3DBall, one decision predicted from each state of {demo.name}, median error:")
        print("  " + ", ".join(f"{name} {error:.4f}" for name, error in errors.items()) + f"; bound {POSITION_BOUND} m")
        missed += ["3DBall's physics"] if not errors["position"] <= POSITION_BOUND else []
    if (demo := demos / "ExpertPyramid.demo").is_file():
        share = predicted_velocities(demo)
        print(f"\nPyramids, one decision predicted from each state of {demo.name}, where nothing was touched:")
        print(f"  velocity right in {share:.0%} of all decisions; bound {PREDICTED_BOUND:.0%}")
        missed += ["Pyramids' physics"] if share < PREDICTED_BOUND else []
    return missed


def try_likeness(reference: Path, seed: int) -> list[str]:
    """Print how policies' episodes here compare with recorded ones, and return what misses its bound."""
    row = "{:12s} {:>18s} {:>8s} {:>13s} {:>15s} {:>8s}"
    print("\nUnity's policies here, beside recordings made there")
    print(row.format("environment", "rays, difference", "bound", "return here", "in recording", "bound"))
    missed = []
    for it in COMPARISONS:
        model, demo = reference / "onnx" / f"{it.name}.onnx", reference / "demos" / it.demo
        if not (model.is_file() and demo.is_file()):
            print(f"{it.name:12s} {'nothing to test':>18s}")
            continue
        found = likeness(it.name, unity_policy(model, it.name), demo, areas=32, decisions=1000, seed=seed)
        print(row.format(it.name, f"{found.sight:.3f}", f"{it.sight:g}", f"{found.here:.3f}", f"{found.there:.3f}",
                         f"{it.earnings:g}"))  # fmt: skip
        like = found.sight <= it.sight and abs(found.here - found.there) <= it.earnings
        missed += [] if like else [f"{it.name}'s likeness"]
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
