"""The built-in trainers pass every check, and checks behave as tests should."""

import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from author_runs import AUTHORS

from mlagents.conformance import ConformanceError, NotApplicable, checks
from mlagents.conformance.persistence import difference
from mlagents.conformance.subject import CONTINUOUS, ONE_BRANCH, SPACES, TWO_BRANCHES, find_subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import (
    CoinTask,
    CopyTask,
    InterruptionTask,
    MaskedBandit,
    ReachTask,
    RecallTask,
    TwoStepTask,
    binary_action,
)
from mlagents.conformance.training import train
from mlagents.plugins.catalog import Catalog, PluginError
from mlagents.settings.mistakes import SettingsError
from mlagents_envs.base_env import ActionTuple

NAMES = ["ppo", "sac", *(["a2c", "dqn"] if find_spec("mlagents_trainer_plugin") else [])]
BROKEN = """
from mlagents.api import PPOTrainer

class BrokenTrainer(PPOTrainer):
    def learn(self, step):
        if self.policy.branches:
            return self.no_such_thing
        return super().learn("soon")

    def state_dict(self):
        raise SystemExit("done")
"""


def in_turn(name):
    """Every check of a trainer once, in action spaces that take turns: `mlagents-plugin check` runs them in each."""
    groups = {}
    for check in checks(name):
        if name != "dqn" or not check.space.actions.continuous_size:
            groups.setdefault(check.function, []).append(check)
    uses = Counter()
    found = []
    for group in groups.values():
        found.append(min(group, key=lambda check: uses[check.space.name]))
        uses[found[-1].space.name] += 1
    return found


CHECKS = [check for name in NAMES for check in (checks(name) if name == "ppo" else in_turn(name))]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.subject.kind.name}: {check}")
def test_the_built_in_trainers_conform(check):
    try:
        check()
    except NotApplicable as error:
        of_dqn = [f"its `capabilities` exclude {what}" for what in ("recurrent networks", "sensors for the critic only")]
        no_groups = "its `capabilities` have no groups"
        assert str(error) in ([*of_dqn, no_groups] if check.subject.kind.name == "dqn" else [no_groups])


def test_every_action_space_has_its_turn():
    spaces = {check.space.name for check in in_turn("sac")}
    assert {space.name for space in SPACES} <= spaces
    assert {check.function for check in in_turn("sac")} == {check.function for check in checks("sac")}


SAMPLES = {"tanh_sac": "tanh-sac", "gru": "gru-ppo", "layer_norm": "layer-norm-ppo"}
WORDS = {
    "tanh-sac": ("exported", "restored", "bounded", "signals"), "layer-norm-ppo": ("exported", "restored"),
    "gru-ppo": ("memory", "exported", "restored", "never stopped", "order of rows"),
}  # fmt: skip


@pytest.mark.parametrize(
    "check",
    [check for file, name in SAMPLES.items() for check in checks(name, plugins=[str(AUTHORS / f"{file}.py")])
     if any(word in str(check) for word in WORDS[name])],
    ids=lambda check: f"{check.subject.kind.name}: {check}",
)  # fmt: skip
def test_the_sample_plugins_conform(check):
    try:
        check()
    except NotApplicable as error:
        assert "its `capabilities` exclude" in str(error)
        assert check.subject.kind.name != "gru-ppo" or "recurrent networks" not in str(error)


def found(name, words, **options):
    (check,) = (check for check in checks(name, **options) if str(check) == words)
    return check


def test_checks_are_sentences_and_none_occurs_twice():
    sentences = [str(check) for check in checks("ppo")]
    assert len(set(sentences)) == len(sentences)
    assert "it learns to reach a target (continuous)" in sentences
    assert "an unknown setting is an error" in sentences


def test_what_a_trainer_does_not_take_is_a_skipped_test():
    pytest.importorskip("mlagents_trainer_plugin")
    with pytest.raises(NotApplicable, match="exclude continuous actions"):
        found("dqn", "an empty batch is accepted (continuous)")()


def test_a_plugins_own_test_file_runs_under_pytest_and_loads_nothing_before_it_must(tmp_path):
    (tmp_path / "choosy.py").write_text(
        "from dataclasses import replace\nfrom mlagents.api import PPOTrainer\n"
        "class ChoosyTrainer(PPOTrainer):\n    capabilities = replace(PPOTrainer.capabilities, hybrid=False)\n"
    )
    (tmp_path / "test_choosy.py").write_text(
        "import sys\nimport mlagents.conformance\nassert 'torch' not in sys.modules\nimport pytest\n"
        "from mlagents.conformance import checks\n"
        "@pytest.mark.parametrize('check', checks('choosy', plugins=['choosy.py']), ids=str)\n"
        "def test_conforms(check):\n    check()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-k", "empty or setting", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed, 1 skipped" in done.stdout or "5 passed, 1 skipped" in done.stdout, done.stdout


def test_importing_the_kit_loads_neither_pytest_nor_torch():
    program = (
        "import sys, mlagents.conformance, mlagents.conformance.command; print({'torch', 'pytest'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_crash_is_a_fault_with_the_line_of_the_plugin(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    with pytest.raises(ConformanceError, match=r"AttributeError: .*no_such_thing.*broken\.py, line 7"):
        found("broken", "it learns to reach a target (one branch)", plugins=[str(file)])()
    with pytest.raises(ConformanceError, match=r"TypeError: .*broken\.py, line 8"):  # not that of the template, which it called
        found("broken", "it learns to reach a target (continuous)", plugins=[str(file)])()


def test_a_check_leaves_random_numbers_and_threads_as_they_were():
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    found("ppo", "an empty batch is accepted (hybrid)")()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_configuration_replaces_the_kits_own_hyperparameters(tmp_path):
    file = tmp_path / "slow.yaml"
    file.write_text("behaviors: {B: {trainer_type: ppo, hyperparameters: {learning_rate: 1.0e-9, num_epoch: 2}}}")
    check = found("ppo", "it learns to copy the observation (continuous)", config=file)
    assert check.subject.settings().learning_rate == 1e-9
    assert check.subject.settings().num_epoch == 2
    assert check.subject.settings().buffer_size == 256
    with pytest.raises(ConformanceError, match="or learning is only slow: see --config"):
        check()


@pytest.mark.parametrize(("size", "passes"), [(512, True), (30000, False)])
def test_a_larger_buffer_is_waited_for_but_not_forever(tmp_path, size, passes):
    file = tmp_path / "large.yaml"
    file.write_text(f"behaviors: {{B: {{trainer_type: ppo, hyperparameters: {{buffer_size: {size}}}}}}}")
    check = found("ppo", "agents may join and leave at any tick (continuous)", config=file)
    if passes:
        check()
    else:
        with pytest.raises(ConformanceError, match="batch_size or buffer_size exceeds that number"):
            check()


def test_settings_that_a_trainer_does_not_admit_stay_its_own(tmp_path):
    (tmp_path / "strict.py").write_text(
        "from typing import Literal\nfrom mlagents.api import PPOTrainer\n"
        "class StrictTrainer(PPOTrainer):\n    class Settings(PPOTrainer.Settings):\n"
        "        batch_size: Literal[32] = 32\n"
    )
    (check, *_) = checks("strict", plugins=[str(tmp_path / "strict.py")])
    assert check.subject.settings().batch_size == 32
    assert check.subject.settings().buffer_size == 256


def test_a_trainer_that_is_not_there_is_refused():
    with pytest.raises(SettingsError, match="no known trainer, did you mean 'ppo'"):
        checks("pppo")


def test_a_plugin_that_does_not_load_is_refused_with_its_line(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("\n\nraise ValueError('no')\n")
    with pytest.raises((PluginError, SettingsError)):
        checks("bad", plugins=[str(file)])


def mean_reward(task, answer, ticks=400):
    """Return the mean reward of 64 agents whose answers are given by (state, allowed)."""
    env = TaskEnv(task, 64, seed=3)
    env.reset()
    for _ in range(ticks):
        state = env.state[env.waiting]
        env.step(answer(state, task.allowed(state)))
    return float(np.concatenate(env.rewards).mean())


def choice(column):
    column = np.asarray(column, np.int32)
    wide = column if column.ndim == 2 else column[:, None]
    return ActionTuple(np.zeros((len(wide), 0), np.float32), wide)


def number(column):
    column = np.asarray(column, np.float32)
    wide = column if column.ndim == 2 else column[:, None]
    return ActionTuple(wide, np.zeros((len(wide), 0), np.int32))


def recalled(state):
    return np.where(state[:, 1] == 0, 1 - state[:, 0], state[:, 0])


@pytest.mark.parametrize(
    ("task", "knowing", "ignorant"),
    [
        (CopyTask(ONE_BRANCH.actions), lambda s, _: choice(s[:, 0]), lambda s, _: choice(s[:, 0] * 0)),
        (CopyTask(TWO_BRANCHES.actions), lambda s, _: choice(s[:, :2]), lambda s, _: choice(s[:, :2] * 0)),
        (CopyTask(CONTINUOUS.actions), lambda s, _: number(s[:, :2]), lambda s, _: number(s[:, :2] * 0)),
        (MaskedBandit(), lambda _, m: choice(3 - m[:, ::-1].argmax(1)), None),
        (ReachTask(CONTINUOUS.actions), lambda s, _: number(np.column_stack([-s[:, :1] / 0.4, s[:, :1]]).clip(-1, 1)),
         lambda s, _: number(np.zeros((len(s), 2)))),
        (ReachTask(ONE_BRANCH.actions), lambda s, _: choice(1 - np.sign(s[:, 0]) * (np.abs(s[:, 0]) > 0.2)),
         lambda s, _: choice(np.ones(len(s)))),
        (CoinTask(ONE_BRANCH.actions), lambda s, _: choice(s[:, 0] > 0), lambda s, _: choice(s[:, 0] * 0)),
        (InterruptionTask(ONE_BRANCH.actions), lambda s, _: choice(1 - s[:, 0]), None),
        (TwoStepTask(), lambda s, _: choice(np.array([0, 2, 0])[s[:, 0]]), None),
        (RecallTask(CONTINUOUS.actions), lambda s, _: number(np.column_stack([recalled(s) - 0.5, s[:, 0]])),
         lambda s, _: number(np.ones((len(s), 2)))),
        (RecallTask(ONE_BRANCH.actions), lambda s, _: choice(recalled(s)), None),
    ],
)  # fmt: skip
def test_a_task_pays_what_it_says(task, knowing, ignorant):
    assert mean_reward(task, knowing) == pytest.approx(task.best_reward, abs=0.012)
    if ignorant is not None:
        assert mean_reward(task, ignorant) == pytest.approx(task.random_reward, abs=0.012)


def test_a_binary_action_is_the_first_branch_or_the_sign_of_the_first_number():
    assert binary_action(choice([0, 1])).tolist() == [0, 1]
    assert binary_action(number([-0.1, 0.1])).tolist() == [0, 1]


@pytest.mark.parametrize("agents", [1, 4, 64])
def test_irregular_agents_come_and_go_in_any_order_under_new_ids(agents):
    task = CopyTask(ONE_BRANCH.actions, length=20.0)
    env = TaskEnv(task, agents, seed=1, irregular=True, renew_ids=True)
    living, gone, left, orders = set(), set(), 0, 0
    step = env.reset()
    for _ in range(300):
        ended, asks = step.agent[step.done].tolist(), step.agent[~step.done].tolist()
        assert step.done.tolist() == sorted(step.done.tolist(), reverse=True)
        assert len({*ended, *asks}) == len(step.agent) >= 1
        assert {*ended} <= living
        assert not {*asks} & gone
        left += int(step.interrupted.sum())
        gone |= {*ended}
        living = (living | {*asks}) - gone
        orders += asks != sorted(asks)
        assert len(living) <= agents
        step = env.step(choice(np.zeros(len(asks))))
    assert left > 2
    assert len(gone) > 5
    assert orders > 100 or agents == 1


@pytest.mark.parametrize("agents", [1, 4, 64])
def test_irregular_agents_that_keep_their_ids_end_and_begin_again_at_once_or_later(agents):
    task = CopyTask(ONE_BRANCH.actions, length=20.0)
    env = TaskEnv(task, agents, seed=1, irregular=True)
    step, living, away, at_once, later = env.reset(), set(), set(), 0, 0
    for _ in range(300):
        ended, asks = step.agent[step.done].tolist(), step.agent[~step.done].tolist()
        assert len(set(ended)) == len(ended) and len(set(asks)) == len(asks)
        assert set(ended) <= living
        away |= set(ended)
        at_once += len(set(ended) & set(asks))
        later += len((away - set(ended)) & set(asks))
        away -= set(asks)
        living = (living | set(asks)) - away
        step = env.step(choice(np.zeros(len(asks))))
    assert living | away == set(range(agents))
    assert at_once > 2 and later > 2


@pytest.mark.parametrize("irregular", [False, True])
def test_training_is_the_same_whether_agents_keep_their_ids_or_not(irregular):
    def weights(renew_ids):
        torch.manual_seed(0)
        task = CopyTask(ONE_BRANCH.actions, length=3.0)
        trainer = find_subject(Catalog(()), "ppo", config=None, seed=0).trainer(task.spec)
        result = train(trainer, TaskEnv(task, 1 if irregular else 8, seed=2, irregular=irregular, renew_ids=renew_ids), 1500)
        assert result.updates
        return trainer.state_dict()

    assert difference(weights(False), weights(True)) is None


@pytest.mark.parametrize(("space"), SPACES)
def test_the_environment_refuses_answers_for_another_number_of_agents(space):
    env = TaskEnv(CopyTask(space.actions), 4, seed=0)
    env.reset()
    with pytest.raises(ConformanceError, match=r"must have shape \(4, "):
        env.step(space.actions.empty_action(3))


@pytest.mark.parametrize(
    ("answer", "words"),
    [(choice([3, 0]), "branch 0 has 3 actions, but action 3"), (choice([0, -1]), "branch 0 has 3 actions")],
)
def test_the_environment_refuses_choices_that_do_not_exist(answer, words):
    env = TaskEnv(CopyTask(ONE_BRANCH.actions), 2, seed=0)
    env.reset()
    with pytest.raises(ConformanceError, match=words):
        env.step(answer)
