"""Sample plug-ins that import `mlagents.api` alone: they learn, resume to the bit, and their models equal them."""

import ast
import io

import numpy as np
import pytest
import torch
from author_runs import AUTHORS, make, sample, train
from torch import nn

import mlagents
from mlagents.algorithms.on_policy import OnPolicyTrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.collect.collector import Collector
from mlagents.conformance.subject import CONTINUOUS, ONE_BRANCH
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import CopyTask, Transition
from mlagents.conformance.training import evaluate
from mlagents.data.experience import PolicyInput
from mlagents.export.export import build, check, export
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

FILES = sorted(path.stem for path in AUTHORS.glob("*.py"))
CONTINUOUS_TASK, DISCRETE_TASK = CopyTask(CONTINUOUS.actions), CopyTask(ONE_BRANCH.actions)


@pytest.mark.parametrize("name", FILES)
def test_a_sample_imports_nothing_of_the_package_but_its_api(name):
    imported = set()
    for node in ast.walk(ast.parse((AUTHORS / f"{name}.py").read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert {module for module in imported if module.startswith("mlagents")} == {"mlagents.api"}


def test_a_soft_actor_critic_takes_no_more_than_a_hundred_lines():
    assert len((AUTHORS / "tanh_sac.py").read_text().splitlines()) <= 100


def through_a_file(behavior):
    file = io.BytesIO()
    torch.save(behavior.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def differences(one, other, place="state"):
    """Return where two states differ."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [place]
    if isinstance(one, dict):
        return [found for key in one for found in differences(one[key], other[key], f"{place}.{key}")]
    if isinstance(one, list | tuple):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for i, pair in pairs for found in differences(*pair, f"{place}.{i}")]
    return [] if one == other else [place]


def resumes_exactly(made, task, rows=900):
    """Train, save, and train on: in the same trainer, and in a new one of another seed."""
    behavior, _ = train(made(0), task, rows, irregular=True)
    behavior.drop()
    state = through_a_file(behavior)
    other, _ = train(made(7), task, 100)
    other.drop()
    other.load_state_dict(state, keep_step=True)
    other.generator.set_state(state["rng"]["torch"])
    for own in (behavior, other):
        train(own.trainer, task, rows, behavior=own, seed=5, irregular=True)
    assert behavior.step == other.step > rows
    assert differences(behavior.state_dict(), other.state_dict()) == []


def tanh_sac(seed=0, **settings):
    return make(sample("tanh_sac").TanhSACTrainer, CONTINUOUS_TASK.spec, seed=seed, network={"normalize": True}, **settings)


def test_a_soft_actor_critic_learns_and_its_actions_stay_within_bounds():
    trainer = tanh_sac(tau=0.05)
    before = evaluate(trainer, CONTINUOUS_TASK, ticks=4)
    _, metrics = train(trainer, CONTINUOUS_TASK, 2400)
    assert evaluate(trainer, CONTINUOUS_TASK, ticks=4) > 0.85 > before + 0.15
    assert metrics[0]["Policy/Entropy Coeff"] == pytest.approx(0.5, rel=0.05)  # what `record` was given
    assert metrics[-1]["Policy/Entropy Coeff"] < 0.4
    output = trainer.policy.act(trainer.policy.blank_input(500))
    assert (output.action.continuous.abs() < 1).all()
    assert trainer.policy.env_action(output.action) is output.action


def test_a_soft_actor_critic_resumes_to_the_bit_with_what_it_remembers():
    task = CopyTask(CONTINUOUS.actions, length=5.0)
    resumes_exactly(lambda seed: tanh_sac(seed, save_replay_buffer=True, steps_per_update=8.0), task, 600)


def test_a_soft_actor_critic_is_exported_by_tracing(tmp_path):
    trainer = tanh_sac()
    train(trainer, CONTINUOUS_TASK, 400)
    export(trainer.policy, tmp_path / "sac.onnx")
    model = mlagents.Model(tmp_path / "sac.onnx", seed=3)
    obs = tuple(torch.randn(600, *sensor.shape) for sensor in CONTINUOUS_TASK.spec.observation_specs)
    greedy = model.act([column.numpy() for column in obs], deterministic=True).continuous
    mine = trainer.policy.act(PolicyInput.of(obs), explore=False).action.continuous
    assert np.allclose(greedy, mine.numpy(), atol=1e-4)
    same = [np.repeat(column[:1].numpy(), 4000, 0) for column in obs]
    drawn = model.act(same).continuous
    own = trainer.policy.act(PolicyInput.of(tuple(map(torch.from_numpy, same)))).action.continuous.numpy()
    assert np.allclose(drawn.mean(0), own.mean(0), atol=0.05)
    assert np.allclose(drawn.std(0), own.std(0), atol=0.05)
    assert (np.abs(drawn) <= 1).all()


@pytest.mark.parametrize("task", [CONTINUOUS_TASK, DISCRETE_TASK], ids=["continuous", "discrete"])
def test_a_policy_of_ones_own_layers_learns_and_is_exported_by_tracing(task):
    trainer = make(sample("layer_norm").LayerNormTrainer, task.spec)
    train(trainer, task, 6000)
    assert evaluate(trainer, task, ticks=4) > 0.3 * task.random_reward + 0.7 * task.best_reward
    model = build(trainer.policy)
    check(trainer.policy, model)
    assert any("LayerNorm" in node.op_type or node.op_type == "ReduceMean" for node in model.graph.node)


def test_a_policy_of_ones_own_layers_resumes_to_the_bit():
    kind, task = sample("layer_norm").LayerNormTrainer, CopyTask(CONTINUOUS.actions, length=5.0)
    resumes_exactly(lambda seed: make(kind, task.spec, seed=seed), task)


def test_values_are_those_of_a_critic_of_ones_own_which_learns_as_by_autograd():
    kind = sample("layer_norm").OwnCriticTrainer

    class ByAutograd(kind):
        def descend(self, batch):
            return OnPolicyTrainer.descend(self, batch)

    seen, states = [], []
    for each in (kind, ByAutograd):
        trainer = make(each, CONTINUOUS_TASK.spec)
        assert type(trainer.critic).__name__ == "OwnCritic"
        before = nn.utils.parameters_to_vector(trainer.critic.parameters()).clone()
        trainer.critic.register_forward_hook(lambda critic, input, value: seen.append(value.detach()))
        _, metrics = train(trainer, CONTINUOUS_TASK, 320)
        (first, *_) = (value for value in seen if len(value) >= 256)
        assert metrics[0]["Policy/Extrinsic Value Estimate"] == pytest.approx(first.mean().item(), abs=1e-5)
        assert not torch.equal(before, nn.utils.parameters_to_vector(trainer.critic.parameters()))
        states.append(trainer.state_dict())
        seen.clear()
    assert differences(*states) == []


class CueTask:
    """A cue is shown at the first of four decisions only; who names it at the last is paid 1."""

    gamma, random_reward, best_reward, LENGTH = 0.9, 0.5 / 4, 1 / 4, 4

    def __init__(self):
        self.spec = BehaviorSpec([vector_sensor(3, "cue")], ActionSpec.create_discrete((2,)))

    def reset(self, n, rng):
        return np.column_stack([rng.integers(2, size=n), np.zeros(n, int)])

    def observe(self, state):
        return (np.column_stack([np.eye(2)[state[:, 0]] * (state[:, 1:] == 0), state[:, 1] / 4]).astype(np.float32),)

    def allowed(self, state):
        return np.ones((len(state), 2), bool)

    def step(self, state, action, rng):
        after = state + np.array([0, 1])
        done = after[:, 1] == self.LENGTH
        reward = (action.discrete[:, 0] == state[:, 0]) & done
        return Transition(after, reward.astype(float), done, np.zeros(len(state), bool))


CUE = CueTask()


def paid(trainer, ticks=40, agents=100):
    """Return what episodes pay while nothing is explored."""
    collector, env, totals = Collector(trainer.policy.memory_size, 10**6), TaskEnv(CUE, agents, seed=9), []
    steps = env.reset()
    for _ in range(ticks):
        _, ended = collector.receive(steps)
        totals += ended.total.tolist()
        steps = env.step(collector.act(trainer.policy, explore=False)[0])
    return float(np.mean(totals))


def gru(seed=0, **settings):
    return make(sample("gru").GRUTrainer, CUE.spec, seed=seed, **{"learning_rate": 1e-2, "buffer_size": 512, **settings})


def test_a_policy_with_memory_learns_what_one_without_cannot():
    trainer = gru()
    train(trainer, CUE, 8000, agents=32)
    assert paid(trainer) > 0.9
    forgetful = make(PPOTrainer, CUE.spec, learning_rate=1e-2, buffer_size=512)
    train(forgetful, CUE, 8000, agents=32)
    assert 0.3 < paid(forgetful) < 0.7


def test_no_memory_leaks_from_an_agent_or_an_episode_into_another(monkeypatch):
    trainer = gru()
    train(trainer, CUE, 2000, agents=32)
    policy, act, answers = trainer.policy, trainer.policy.act, []

    def watched(input, *, explore=True):
        answers.append((input, act(input, explore=explore)))
        return answers[-1][1]

    monkeypatch.setattr(policy, "act", watched)
    collector, env = Collector(policy.memory_size, 10**6), TaskEnv(CUE, 20, seed=3, irregular=True)
    remembered, carried, steps = torch.zeros(20, policy.memory_size), 0, env.reset()
    for _ in range(60):
        collector.receive(steps)
        slots = torch.from_numpy(env.waiting.copy())
        steps = env.step(collector.act(policy)[0])
        input, output = answers[-1]
        begins = input.obs[0][:, 2:] == 0
        assert torch.equal(input.memory, torch.where(begins, 0.0, remembered[slots]))
        remembered[slots] = output.memory
        carried += int((~begins).sum())
    assert carried > 300


def test_a_policy_with_memory_resumes_to_the_bit():
    resumes_exactly(gru, CUE)


def test_a_model_with_memory_equals_its_policy_over_several_steps(tmp_path):
    trainer = gru()
    train(trainer, CUE, 1200)
    export(trainer.policy, tmp_path / "gru.onnx")
    graph = build(trainer.policy).graph
    names = [value.name for value in (*graph.input, *graph.output)]
    assert {"recurrent_in", "recurrent_out", "memory_size"} <= set(names)
    model = mlagents.Model(tmp_path / "gru.onnx")
    assert model.memory_size == trainer.policy.memory_size == 16
    memory, mine = None, torch.zeros(5, 16)
    for _ in range(6):
        obs = torch.randn(5, 3)
        played = model.act(obs.numpy(), memory=memory, deterministic=True)
        own = trainer.policy.act(PolicyInput.of((obs,), torch.ones(5, 2, dtype=torch.bool), mine), explore=False)
        assert np.array_equal(played.discrete, own.action.discrete.numpy())
        assert np.allclose(played.memory, own.memory.numpy(), atol=1e-5)
        memory, mine = played.memory, own.memory
