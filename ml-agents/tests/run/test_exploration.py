"""A curve that lies at its lowest is noticed, once and early, and no other is."""

import csv
import logging
import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from mlagents.build import make_session
from mlagents.run.exploration import ExplorationWatch, Point, stuck
from mlagents.run.recorder import Aggregation, StatsSummary
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import ExampleEnv, vector_sensor

CURVES = Path(__file__).parents[3] / "benchmarks" / "curves"
KNOWN = {("exploration-PushBlock", "8"): 300_000}  # that lies at -1 for long, and a step by which it is noticed
BUDGET = {"exploration-PushBlock": 2_000_000}  # max_steps, where the curve was not recorded to its end


def recorded():
    """Every curve that is kept: (file, what it is of) -> points."""
    found = defaultdict(list)
    for file in sorted(CURVES.glob("*.csv")):
        with open(file) as rows:
            for row in csv.DictReader(rows):
                reward, entropy = float(row.pop("reward")), float(row.pop("entropy", "nan"))
                step = int(float(row.pop("steps", None) or row.pop("step")))
                if not math.isnan(reward):
                    found[(file.stem, *row.values())].append(Point(step, reward, entropy=entropy))
    return found


def first_warning(points, max_steps):
    """The step at which a curve is said to be stuck, None if never."""
    found = (stuck(points[:n], max_steps) for n in range(1, len(points) + 1))
    return next((each.now.step for each in found if each is not None), None)


@pytest.mark.parametrize(("curve", "points"), recorded().items(), ids=lambda x: "-".join(x) if type(x[0]) is str else "")
def test_of_recorded_curves_only_the_one_that_is_known_to_be_stuck_is_noticed(curve, points):
    step = first_warning(points, BUDGET.get(curve[0], points[-1].step))
    if curve in KNOWN:
        assert step is not None and step <= KNOWN[curve]
    else:
        assert step is None


def curve(*rewards, spread=0.0, entropy=None, every=10_000):
    entropy = entropy if entropy is not None else [1.0] * len(rewards)
    return [
        Point((i + 1) * every, reward, spread, 50, value)
        for i, (reward, value) in enumerate(zip(rewards, entropy, strict=True))
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("slope", [0.0, 0.01, -0.01])
def test_noise_is_not_noticed_wherever_it_goes(seed, slope):
    rng = np.random.default_rng(seed)
    rewards = slope * np.arange(200) + rng.normal(0, 1, 200)
    assert first_warning(curve(*rewards, spread=4.0), 2_000_000) is None


def test_a_fall_to_the_lowest_is_noticed_after_three_points_and_a_twentieth_of_the_run():
    rewards = [-1.0, 0.5, 2.0, 3.0, *[-1.0] * 20]
    assert first_warning(curve(*rewards), 200_000) == 70_000
    assert first_warning(curve(*rewards), 2_000_000) == 150_000
    found = stuck(curve(*rewards), 2_000_000)
    assert (found.best.reward, found.since.step, found.now.step) == (3.0, 50_000, 240_000)


def test_episodes_that_still_differ_keep_a_low_curve_from_being_noticed():
    rewards = [-1.0, 0.5, 2.0, 3.0, *[-1.0] * 20]
    assert first_warning(curve(*rewards, spread=0.5), 200_000) is None
    assert first_warning(curve(*rewards, spread=0.1), 200_000) == 70_000


def test_a_curve_that_never_rose_is_noticed_after_a_tenth_of_the_run_unless_it_moves():
    assert first_warning(curve(*[-1.0] * 30), 1_000_000) == 110_000
    assert first_warning(curve(*[0.0] * 30), 1_000_000) == 110_000
    assert first_warning(curve(*[-1.0] * 8, -0.7, *[-1.0] * 3), 1_000_000) is None
    assert first_warning(curve(*[-1.0] * 30, spread=0.1), 1_000_000) is None


def test_a_curve_that_fell_to_a_new_low_and_stays_there_is_noticed_but_not_one_that_falls():
    assert first_warning(curve(0.0, 1.0, 2.0, 0.0, -2.0, *[-2.0] * 10), 200_000) == 70_000
    assert first_warning(curve(*np.linspace(2, -5, 40)), 200_000) is None


def test_without_entropy_the_lowest_quarter_is_low_enough():
    rewards, none = [0.0, 4.0, 8.0, *[1.5] * 9], [1.0, 0.9, 0.5, *[0.02] * 9]
    assert first_warning(curve(*rewards, spread=1.0, entropy=none), 200_000) == 60_000
    assert first_warning(curve(*rewards, spread=1.0, entropy=[1.0] * 12), 200_000) is None
    continuous = [1.4, 1.0, 0.0, *[-1.7] * 9]  # nats of a Gaussian, from a deviation of 1 to one of 0.04
    assert first_warning(curve(*rewards, spread=1.0, entropy=continuous), 200_000) == 60_000
    assert first_warning(curve(*[3.0] * 30, entropy=[1.0, *[0.01] * 29]), 1_000_000) == 60_000


def test_a_good_policy_that_is_certain_is_not_noticed():
    rewards = [0.04, 0.3, 0.7, *[0.93] * 20]
    assert first_warning(curve(*rewards, entropy=[1.0, 0.5, 0.1, *[0.0] * 20]), 200_000) is None


def test_few_episodes_are_not_enough():
    points = [Point(i * 10_000, reward, 0.0, 2) for i, reward in enumerate([1.0, *[-1.0] * 20])]
    assert first_warning(points, 200_000) == 100_000  # ten points of two episodes


def summary(reward, n=10):
    return {"Environment/Cumulative Reward": StatsSummary(np.full(n, reward), Aggregation.HISTOGRAM)}


def test_another_lesson_begins_another_curve():
    watch = ExplorationWatch("B", 1000, {}, ["extrinsic"])
    for step, reward in enumerate([0.0, 5.0, 9.0]):
        assert watch.add(100 * step, summary(reward), {"height": 0}) is None
    for step in range(2):  # each a lesson in which nothing is earned at first
        assert watch.add(300 + 100 * step, summary(0.0), {"height": 1}) is None
    assert watch.add(500, {}, {"height": 1}) is None  # no episode ended
    assert watch.add(600, summary(0.0), {"height": 1}) is not None
    assert watch.add(700, summary(0.0), {"height": 1}) is None  # once is enough


class Lever(ExampleEnv):
    """Episodes of four decisions; who never pulls the lever, action 1, loses 1, and all others win 1."""

    NAME = "Lever"
    AREAS = 8
    SPEC = BehaviorSpec([vector_sensor(1, "time")], ActionSpec.create_discrete((8,)))

    def _begin(self):
        self.time, self.pulled = np.arange(self.areas) % 4, np.zeros(self.areas, bool)
        return [self._see()]

    def _decide(self, action):
        self.time += 1
        self.pulled |= action.discrete[:, 0] == 1
        last, done = self._see(), self.time >= 4
        reward = np.where(done, np.where(self.pulled, 1.0, -1.0), 0.0).astype(np.float32)
        self.time[done], self.pulled[done] = 0, False
        return [self._see()], reward, done, np.zeros(self.areas, bool), [last]

    def _see(self):
        return self.time[:, None].astype(np.float32)


COLLAPSING = '''
import mlagents.api as ml

class Collapsing(ml.OnPolicyTrainer):
    """Learns to do nothing, action 0, whatever that earns."""

    def loss(self, batch):
        log_prob, _ = self.policy.evaluate(batch.input, ml.Actions(batch.action.continuous, batch.action.discrete * 0))
        return {"policy": -log_prob.mean(), "value": (self.values(batch) - batch.returns).pow(2).mean()}
'''


@pytest.mark.parametrize(("trainer", "rate", "warnings"), [("collapsing", 0.05, 1), ("ppo", 0.01, 0)])
def test_a_run_that_stops_exploring_says_so_once_and_one_that_learns_does_not(
    tmp_path, monkeypatch, caplog, trainer, rate, warnings
):
    monkeypatch.chdir(tmp_path)
    Path("collapsing.py").write_text(COLLAPSING)
    behavior = {
        "trainer_type": trainer, "max_steps": 8000, "summary_freq": 200, "time_horizon": 4,
        "hyperparameters": {"batch_size": 64, "buffer_size": 256, "learning_rate": rate},
        "network_settings": {"hidden_units": 8, "num_layers": 1},
    }  # fmt: skip
    options, _ = load({"behaviors": {"Lever": behavior}, "plugins": ["collapsing.py"]}, {})
    with caplog.at_level(logging.WARNING, "mlagents"):
        make_session(options, environment=Lever(seed=1)).run()
    found = [r.getMessage() for r in caplog.records if "stopped exploring" in r.getMessage()]
    assert len(found) == warnings
    for text in found:
        assert re.search(r"its mean reward has been -(1|0\.9\d*), the lowest of this run, since step [\d,]+; it was", text)
        assert "lower learning_rate (0.05 here)" in text and "curiosity" in text
        assert int(text.partition("at step ")[2].partition(":")[0].replace(",", "")) <= 4000
