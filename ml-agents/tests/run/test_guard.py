"""Going back to the last good state: what is put back, what goes on, and when there is an end to it."""

import logging

import numpy as np
import pytest
import torch
from author_runs import make, sample

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.collect.behavior import Behavior
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import CopyTask
from mlagents.data.finite import NotFinite, check_gradients
from mlagents.errors import NonFiniteError
from mlagents.run import guard as guards
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.guard import Guard
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status
from mlagents_envs.base_env import ActionSpec

ACTIONS = ActionSpec.create_continuous(1)


@pytest.fixture
def start(tmp_path):
    """A function that makes a guard around a trainer that plays a small task, and the environment."""

    def start(kind, on_nan="rollback", *, training=True, **hyperparameters):
        task = CopyTask(ACTIONS)
        behavior = Behavior(make(kind, task.spec, **hyperparameters), time_horizon=16, training=training)
        results = ResultsFolder(tmp_path)
        checkpoints = Checkpoints(results, "B", Status(results.status, {}), keep=2)
        return Guard("B", behavior, checkpoints, on_nan=on_nan), TaskEnv(task, 8, seed=1)

    return start


def play(guard, env, ticks, steps=None):
    """Play and learn; return the last reports, and the metrics of each update."""
    learned = []
    steps = env.reset() if steps is None else steps
    for _ in range(ticks):
        guard.receive(steps, "")
        if (metrics := guard.learn()) is not None:
            learned.append(metrics)
        steps = env.step(guard.act("")[0])
    return steps, learned


def flat(state, place=""):
    if isinstance(state, dict):
        return {name: each for key, value in state.items() for name, each in flat(value, f"{place}/{key}").items()}
    if isinstance(state, list | tuple):
        return flat(dict(enumerate(state)), place)
    return {place: state}


def assert_equal(one, other):
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        same = torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        assert same, name


@pytest.mark.parametrize("kind", ["PlantedOnPolicy", "PlantedOffPolicy"])
@pytest.mark.parametrize("plant", ["loss", "gradient", "weight"])
def test_everything_that_learning_changes_is_put_back(start, monkeypatch, caplog, kind, plant):
    monkeypatch.setattr(guards, "KEPT_EVERY", 1)
    module = sample("planted")
    module.calls = 0
    monkeypatch.setenv("PLANT", f"{plant}:30")
    guard, env = start(getattr(module, kind))
    behavior, steps = guard.behavior, env.reset()
    before = behavior.learned_state()
    with caplog.at_level(logging.WARNING):
        while not guard.rollbacks:
            guard.receive(steps, "")
            if guard.learn() is not None:
                before = behavior.learned_state()
            drawn = behavior.generator.get_state()
            steps = env.step(guard.act("")[0])
    assert_equal(behavior.learned_state(), before)
    assert f"It goes back to its last good state, of step {behavior.step:,}" in caplog.text
    assert not torch.equal(drawn, behavior.generator.get_state())
    _, learned = play(guard, env, 200, steps)
    assert len(learned) > 1 and guard.rollbacks == 1
    assert all(np.isfinite(np.mean(value)) for metrics in learned for value in metrics.values())


def test_rows_of_a_bad_batch_are_not_sampled_again(start, monkeypatch):
    module = sample("planted")
    module.calls = 0
    monkeypatch.setenv("PLANT", "loss:10")
    guard, env = start(module.PlantedOffPolicy)
    update, batches = guard.behavior.trainer.update, []
    guard.behavior.trainer.update = lambda batch: (batches.append(batch), update(batch))[1]
    play(guard, env, 60)
    gone = set(batches[9].input.obs[0][:, 0].tolist())
    assert guard.rollbacks == 1 and gone
    assert not gone & {seen for batch in batches[10:] for seen in batch.input.obs[0][:, 0].tolist()}


def test_an_action_that_is_nan_becomes_zeros_and_nothing_is_learned_from_it(start, monkeypatch, caplog):
    guard, env = start(PPOTrainer, buffer_size=10**6)
    act, calls = guard.behavior.newest.act, []

    def broken(input, *, explore=True):
        output = act(input, explore=explore)
        calls.append(1)
        if len(calls) == 5:
            output.action.continuous[2] = torch.nan
        return output

    monkeypatch.setattr(guard.behavior.newest, "act", broken)
    steps = env.reset()
    for turn in range(1, 10):
        guard.receive(steps, "")
        actions, metrics = guard.act("")
        assert np.isfinite(actions.continuous).all()
        assert (actions.continuous[2, 0] == 0 and not metrics) == (turn == 5)
        steps = env.step(actions)
    assert "the policy's actions are not finite, in rows of environment 0, agent 2. It goes back to" in caplog.text
    assert len(guard.behavior.trainer.memory.take().lane) == 8 * 8 - 1


def test_an_action_that_is_nan_ends_a_run_that_only_plays(start, monkeypatch):
    guard, env = start(PPOTrainer, "rollback", training=False)
    with torch.no_grad():
        guard.behavior.trainer.policy.head.bias.fill_(torch.nan)
    guard.receive(env.reset(), "")
    with pytest.raises(NonFiniteError, match="B: learning went to infinity at step 0: the policy's actions are not"):
        guard.act("")


def test_an_optimizer_that_is_ruined_is_noticed_before_a_checkpoint(start):
    guard, env = start(PPOTrainer, "stop")
    play(guard, env, 80)
    trainer = guard.behavior.trainer
    next(iter(trainer.optimizer.state.values()))["exp_avg_sq"].fill_(torch.inf)
    with pytest.raises(NonFiniteError, match=r"Optimizer:value_optimizer\.state\.\d\.exp_avg_sq holds infinite numbers"):
        guard.check()
    guard.check()  # it was put back


def test_weights_that_a_run_begins_with_must_be_good(start, monkeypatch):
    class Ruined(PPOTrainer):
        def __init__(self, setup, settings):
            super().__init__(setup, settings)
            self.critic.head.bias.data.fill_(torch.nan)

    with pytest.raises(NonFiniteError, match="B: the weights that training begins with are ruined: Optimizer:critic"):
        start(Ruined)


def test_checkpoints_in_between_do_not_count_as_success(start, monkeypatch):
    module = sample("planted")
    module.calls = 0
    monkeypatch.setenv("PLANT", "loss:*")
    guard, env = start(module.PlantedOffPolicy)
    steps = env.reset()
    with pytest.raises(NonFiniteError, match="It was put back 10 times in a row before"):
        for _ in range(200):
            steps, _ = play(guard, env, 1, steps)
            guard.check()


@pytest.mark.parametrize(
    ("gradient", "found"),
    [(torch.nan, "NaN"), (-torch.inf, "infinite numbers"), (1e20, "numbers as large as 1.0e+20"), (1e18, None)],
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_gradient_is_named_by_its_parameter(gradient, found, kind):
    module = torch.nn.Linear(200, 200, dtype=kind)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    module.bias.grad[7] = gradient
    parameters = list(module.parameters())
    if found is None:
        check_gradients(parameters, lambda: {"Policy": module})
        return
    with pytest.raises(NotFinite, match=rf"^the gradient of the Policy's 'bias' holds {found.replace('+', '.')}$"):
        check_gradients(parameters, lambda: {"Policy": module})
    with pytest.raises(NotFinite, match=r"^the gradient of a parameter of shape \(200,\) holds"):
        check_gradients(parameters, lambda: {})


def test_sparse_gradients_are_looked_at():
    table = torch.nn.Embedding(10, 4, sparse=True)
    table(torch.tensor([3])).sum().backward()
    check_gradients(list(table.parameters()), lambda: {"Table": table})
    (table(torch.tensor([3])).sum() * torch.inf).backward()
    with pytest.raises(NotFinite, match="the gradient of the Table's 'weight' holds infinite numbers"):
        check_gradients(list(table.parameters()), lambda: {"Table": table})
