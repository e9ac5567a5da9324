"""The DQN example: never a forbidden choice, the right goal, the same play in Unity, and it learns."""

import io
from importlib.resources import files

import numpy as np
import onnxruntime
import pytest
import torch

import mlagents_trainer_plugin
from mlagents.algorithms.capabilities import Needs
from mlagents.api import (
    Actions,
    Experience,
    NetworkSettings,
    PolicyInput,
    PolicyOutput,
    TrainerSetup,
    Transition,
)
from mlagents.collect.behavior import Behavior
from mlagents.envs.local import LocalPool
from mlagents.envs.steps import StepBatch
from mlagents.export.export import build, check
from mlagents.export.importers import OPSETS
from mlagents.nn.distributions import EpsilonGreedy
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.example import vector_sensor
from mlagents_trainer_plugin.dqn.dqn_trainer import DQNSettings, DQNTrainer

CONFIG = files(mlagents_trainer_plugin) / "dqn" / "dqn_basic.yaml"
FAST = {
    "batch_size": 32, "buffer_size": 2000, "steps_per_update": 8, "learning_rate": 3e-3, "tau": 0.05,
    "exploration_initial_eps": 1.0, "exploration_final_eps": 0.0, "exploration_steps": 4000,
}  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def spec(*branches):
    return BehaviorSpec([vector_sensor(2, "seen")], ActionSpec.create_discrete(branches))


def made(spec, signals=1, normalize=False, deterministic=False, **settings):
    network = NetworkSettings(hidden_units=32, normalize=normalize, deterministic=deterministic)
    setup = TrainerSetup(spec, network, [Extrinsic(gamma=0.5, strength=1.0)] * signals, 8000)
    return DQNTrainer(setup, DQNSettings(**{**FAST, **settings}))


def asked(n, mask):
    return PolicyInput((torch.randn(n, 2),), torch.tensor([mask] * n), torch.zeros(n, 0))


class Echo:
    """One decision an episode; each branch is paid for saying the sign of its own number. Some choices are forbidden."""

    AGENTS = 16

    def __init__(self, branches, allowed=None):
        self.spec, self.chance, self.born = spec(*branches), np.random.default_rng(0), 0
        self.allowed = np.ones(sum(branches), bool) if allowed is None else np.array(allowed)
        self.first = np.cumsum([0, *branches[:-1]])
        self.seen = None

    def begin(self):
        return self.say(np.zeros(0, np.float32), np.zeros((0, 2), np.float32))

    def step(self, action):
        assert self.allowed[action.discrete + self.first].all()
        right = action.discrete == (self.seen[:, : action.discrete.shape[1]] > 0)
        return self.say(right.mean(1).astype(np.float32), self.seen)

    def say(self, reward, last):
        self.seen = self.chance.uniform(-1, 1, (self.AGENTS, 2)).astype(np.float32)
        n, k = len(reward) + self.AGENTS, len(reward)
        agent = np.arange(self.born - k, self.born + self.AGENTS)
        self.born += self.AGENTS
        return StepBatch(
            agent, (np.concatenate([last, self.seen]),), np.tile(self.allowed, (n, 1)),
            np.concatenate([reward, np.zeros(self.AGENTS, np.float32)]), np.zeros(n, np.int64), np.zeros(n, np.float32),
            np.arange(n) < k, np.zeros(n, bool),
        )  # fmt: skip


def train(trainer, world, steps):
    """Return the mean reward of the last quarter."""
    behavior, returns, step = Behavior(trainer, time_horizon=8), [], world.begin()
    while behavior.step < steps:
        ended = behavior.receive(step)
        if ended is not None and behavior.step > 0.75 * steps:
            returns += ended.total.tolist()
        behavior.learn()
        step = world.step(behavior.act()[0])
    return float(np.mean(returns))


@pytest.mark.parametrize(
    ("branches", "allowed"), [((2,), None), ((2, 3), None), ((2, 3), [True, True, True, True, False])]
)
@pytest.mark.parametrize("dueling", [True, False])
def test_it_learns_to_say_back_what_it_sees(branches, allowed, dueling):
    world = Echo(branches, allowed)
    assert train(made(world.spec, dueling=dueling, normalize=True), world, 8000) > 0.93


@pytest.mark.parametrize("change", [{"double": False}, {"n_step": 3}, {"target_update_interval": 50}])
def test_it_learns_with_every_setting(change):
    world = Echo((2,))
    assert train(made(world.spec, **change), world, 8000) > 0.93


def test_a_forbidden_choice_is_taken_neither_at_random_nor_as_the_best():
    actor = made(spec(3, 2)).policy
    with torch.no_grad():
        actor.head.bias.copy_(torch.tensor([9.0, 0.0, 1.0, 0.0, 9.0]))  # the forbidden ones seem best
    input = asked(500, [False, True, True, True, False])
    actor.epsilon = 1.0
    random = actor.act(input).action.discrete
    assert set(random[:, 0].tolist()) == {1, 2}
    assert set(random[:, 1].tolist()) == {0}
    assert set(actor.act(input, explore=False).action.discrete[:, 0].tolist()) <= {1, 2}
    assert set(actor.act(input, explore=False).action.discrete[:, 1].tolist()) == {0}


def test_each_agent_draws_its_own_and_every_choice_of_each_branch_is_drawn():
    actor = made(spec(3, 2)).policy
    actor.epsilon = 0.5
    with torch.no_grad():
        actor.head.weight.zero_()
        actor.head.bias.copy_(torch.tensor([9.0, 0.0, 0.0, 9.0, 0.0]))
    choice = actor.act(asked(4000, [True] * 5)).action.discrete
    assert choice.shape == (4000, 2)
    share = torch.bincount(choice[:, 0], minlength=3) / 4000
    assert share.tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=0.03)
    assert torch.bincount(choice[:, 1], minlength=2).min() / 4000 == pytest.approx(0.25, abs=0.03)


def test_nobody_and_one_agent_can_ask():
    actor = made(spec(3, 2)).policy
    for n in (0, 1):
        mask = torch.ones(n, 5, dtype=torch.bool)
        output = actor.act(PolicyInput((torch.zeros(n, 2),), mask, torch.zeros(n, 0)))
        assert output.action.discrete.shape == (n, 2)
        assert output.log_prob.shape == (n, 2)
        assert output.entropy.shape == (n,)


def test_nothing_is_explored_without_explore_when_deterministic_or_in_play():
    input = asked(300, [True] * 5)
    for deterministic in (False, True):
        actor = made(spec(3, 2), deterministic=deterministic).policy
        greedy = actor.act(input, explore=False).action.discrete
        assert torch.equal(actor.act(input).action.discrete, greedy)  # just loaded: no trainer has learned yet
        actor.epsilon = 1.0
        assert torch.equal(actor.act(input, explore=False).action.discrete, greedy)
        assert torch.equal(actor.act(input).action.discrete, greedy) == deterministic


def test_a_behavior_that_only_plays_explores_nothing():
    world = Echo((2, 3))
    trainer = made(world.spec)
    behavior = Behavior(trainer, time_horizon=8, training=False)
    for _ in range(5):
        behavior.receive(world.begin())
        behavior.act()
    assert trainer.policy.epsilon == 0
    assert len(trainer.memory) == 0


@pytest.mark.parametrize(
    ("settings", "step", "epsilon"),
    [
        ({"exploration_steps": 1000}, 500, 0.5), ({"exploration_steps": 1000}, 5000, 0.0),
        ({"exploration_steps": 0}, 2000, 0.75), ({"exploration_schedule": "constant"}, 5000, 1.0),
    ],
)  # fmt: skip
def test_exploration_follows_its_settings_from_the_first_step(settings, step, epsilon):
    trainer = made(spec(2), **settings)
    assert trainer.learn(step) is None  # warm-up explores too
    assert trainer.policy.epsilon == pytest.approx(epsilon)


def transition(obs, choice, next_obs, next_mask, returns, discount):
    n, none = len(obs), torch.zeros(len(obs), 0)
    mask, flags = torch.ones(n, next_mask.shape[1], dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
    output = PolicyOutput(Actions(none, choice), torch.zeros(choice.shape), torch.zeros(n), none)
    rows = Experience(
        PolicyInput((obs,), mask, none), output, torch.zeros(n), torch.zeros(n), torch.zeros(n), flags, flags
    )
    return Transition(rows, PolicyInput((next_obs,), next_mask, none), returns, discount, flags)


def fixed(network, bias):
    """Make a network whose choices are worth these numbers wherever it is."""
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor(bias))


def test_the_goal_is_the_worth_of_the_best_allowed_next_choice():
    trainer = made(spec(3), dueling=False, double=True)
    fixed(trainer.policy, [1.0, 5.0, 9.0])
    fixed(trainer.target, [10.0, 20.0, 40.0])
    allowed = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    batch = transition(
        torch.zeros(3, 2), torch.zeros(3, 1, dtype=torch.int64), torch.zeros(3, 2), allowed,
        torch.tensor([[1.0], [1.0], [1.0]]), torch.tensor([[0.5], [0.25], [0.0]]),
    )  # fmt: skip
    # 1 + .5*20, the target's worth of what the policy prefers; 1 + .25*40, two rewards later; 1, the episode terminated
    assert trainer.td_target(batch).flatten().tolist() == [11, 11, 1]


def test_double_asks_the_policy_what_is_best_and_single_asks_the_target():
    goals = []
    for double in (True, False):
        trainer = made(spec(2), dueling=False, double=double)
        fixed(trainer.policy, [5.0, 1.0])
        fixed(trainer.target, [10.0, 20.0])
        one = torch.ones(1, 1)
        batch = transition(
            torch.zeros(1, 2), one.long(), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool), one * 0, one
        )
        goals.append(trainer.td_target(batch).item())
    assert goals == [10, 20]


def test_the_next_choice_is_the_next_states_own():
    trainer = made(spec(2), dueling=False, double=False)
    with torch.no_grad():  # the first feature decides, which is above 0 in some states and below in others
        trainer.target.head.weight.zero_()
        trainer.target.head.weight[0, 0] = 1.0
        trainer.target.head.weight[1, 0] = -1.0
    after = torch.randn(50, 2)
    now = -after
    choice, one = torch.zeros(50, 1, dtype=torch.int64), torch.ones(50, 1)
    batch = transition(now, choice, after, torch.ones(50, 2, dtype=torch.bool), one * 0, one)
    expected = trainer.target.q_values(PolicyInput.of((after,))).max(1, keepdim=True).values
    assert torch.allclose(trainer.td_target(batch), expected)


def test_branches_share_the_mean_of_their_goals():
    trainer = made(spec(2, 3), dueling=False)
    for network in (trainer.policy, trainer.target):
        fixed(network, [1.0, 3.0, 0.0, 5.0, 2.0])
    choice, one = torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 1)
    batch = transition(torch.zeros(1, 2), choice, torch.zeros(1, 2), torch.ones(1, 5, dtype=torch.bool), one, one)
    assert trainer.td_target(batch).tolist() == [[1 + (3 + 5) / 2]]


def test_dueling_changes_the_worth_but_not_what_is_best():
    actor = made(spec(2, 3)).policy
    input = asked(50, [True] * 5)
    q_values = actor.q_values(input)
    first, second = actor.split(q_values)
    state = actor.body(input, actor.state)
    assert torch.allclose(first.mean(1, keepdim=True), state, atol=1e-6)
    assert torch.allclose(second.mean(1, keepdim=True), state, atol=1e-6)
    assert torch.equal(EpsilonGreedy(q_values, input.mask, actor.branches, 0.0).mode().discrete, actor.act(input, explore=False).action.discrete)


def test_a_target_becomes_a_copy_at_its_interval_and_only_then():
    world = Echo((2,))
    trainer = made(world.spec, target_update_interval=3)
    same = []
    batch = transition(
        torch.randn(8, 2), torch.zeros(8, 1, dtype=torch.int64), torch.randn(8, 2), torch.ones(8, 2, dtype=torch.bool),
        torch.ones(8, 1), torch.ones(8, 1),
    )  # fmt: skip
    for _ in range(6):
        trainer.update(batch)
        trainer.updates += 1
        same.append(torch.equal(trainer.target.head.weight, trainer.policy.head.weight))
    assert same == [False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(continuous=True), "continuous actions"),
        (Needs(continuous=True, discrete=True), "continuous actions beside discrete ones"),
        (Needs(discrete=True, several_signals=True), "several reward signals"),
        (Needs(discrete=True, memory=True), "recurrent networks"),
        (Needs(discrete=True, demonstrations=True), None),
    ],
)
def test_what_it_cannot_learn_is_declared(needs, words):
    assert DQNTrainer.capabilities.lacks(needs) == words


@pytest.mark.parametrize("opset", [OPSETS[0], 11, OPSETS[-1]])
@pytest.mark.parametrize("dueling", [True, False])
def test_both_outputs_of_an_exported_model_are_the_best_choice_every_time(opset, dueling):
    actor = made(spec(4, 3), dueling=dueling, normalize=True).policy
    actor.observe((torch.randn(50, 2) * 3 + 1,))
    model = build(actor, opset=opset)
    check(actor, model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    mask = torch.rand(200, 7) < 0.6
    mask[:, [0, 4]] = True
    input = PolicyInput((torch.randn(200, 2),), mask, torch.zeros(200, 0))
    feeds = {"obs_0": input.obs[0].numpy(), "action_masks": mask.numpy().astype(np.float32)}
    best = actor.act(input, explore=False).action.discrete.numpy()
    for _ in range(3):
        for output in session.run(["discrete_actions", "deterministic_discrete_actions"], feeds):
            assert np.array_equal(output, best)


def test_a_resumed_trainer_equals_one_that_never_stopped():
    settings = {"save_replay_buffer": True, "n_step": 2, "normalize": True, "buffer_init_steps": 100}
    world = Echo((2, 3))
    trainer, resumed = made(world.spec, **settings), made(world.spec, **settings)
    train(trainer, world, 1000)
    trainer.forget()
    file = io.BytesIO()
    torch.save(trainer.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for other in (trainer, resumed):
        other.generator.manual_seed(3)
        train(other, Echo((2, 3)), 1000)
    for name in ("Policy", "Target"):
        mine, theirs = resumed.state_dict()[name], trainer.state_dict()[name]
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert resumed.updates == trainer.updates


def test_two_behaviors_learn_side_by_side_as_each_alone():
    one, other = made(spec(2)), made(spec(2, 3))
    assert one.policy is not other.policy
    assert train(one, Echo((2,)), 4000) > 0.75
    assert other.updates == 0
    assert train(other, Echo((2, 3)), 4000) > 0.75


def test_its_configuration_is_sound():
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["behaviors"]["Basic"]
    assert config["trainer_type"] == "dqn"
    DQNSettings(**config["hyperparameters"])


def test_it_walks_to_the_large_goal():
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["behaviors"]["Basic"]
    network = NetworkSettings(**config["network_settings"])
    setup = TrainerSetup(Basic.SPEC, network, [Extrinsic(**config["reward_signals"]["extrinsic"])], config["max_steps"])
    behavior = Behavior(DQNTrainer(setup, DQNSettings(**config["hyperparameters"])), time_horizon=config["time_horizon"])
    pool = LocalPool(Basic(seed=1))
    pool.reset({})
    while behavior.step < 8000 and (behavior.mean_return or 0.0) < 0.9:
        actions = {}
        for name, step in pool.recv().items():
            behavior.receive(step)
            behavior.learn()
            actions[name], _ = behavior.act()
        pool.send(actions)
    assert behavior.mean_return >= 0.9  # the best is 0.93; the small goal alone gives 0.08
    pool.close()
