"""What SAC takes from RLPD: more critics, some of them drawn for each target, layer normalization, demonstrations."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tiny_tasks import Loop, through_a_file

from mlagents.algorithms.making import construct
from mlagents.algorithms.sac import SACTrainer
from mlagents.algorithms.settings import SACSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.conformance.persistence import difference
from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.replay import Transition
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.export.export import build, check
from mlagents.learn import main
from mlagents.nn.body import NetworkBody
from mlagents.nn.policy import Actor
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor

CONTINUOUS, DISCRETE = ActionSpec.create_continuous(1), ActionSpec.create_discrete((3,))


def make(actions=CONTINUOUS, *, spec=None, demonstrations=None, hidden=8, layers=1, seed=0, **settings):
    spec = spec or BehaviorSpec([vector_sensor(2, "seen")], actions)
    network = NetworkSettings(hidden_units=hidden, num_layers=layers)
    setup = TrainerSetup(
        spec, network, [Extrinsic(gamma=0.95, strength=1.0)], 10**6, demonstrations,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return construct(SACTrainer, setup, SACSettings(**{"batch_size": 8, "init_entcoef": 0.0, **settings}))


def batch(trainer, n=8, seed=0):
    g, policy = torch.Generator().manual_seed(seed), trainer.policy
    mask = torch.ones(n, sum(policy.branches), dtype=torch.bool)
    inputs = [PolicyInput.of((torch.randn(n, 2, generator=g),), mask) for _ in range(2)]
    size, none, flags = policy.continuous, torch.zeros(n), torch.zeros(n, dtype=torch.bool)
    action = Actions(torch.zeros(n, size), torch.zeros(n, len(policy.branches), dtype=torch.int64))
    output = PolicyOutput(action, torch.zeros(n, size + len(policy.branches)), none, inputs[0].memory)
    rows = Experience(inputs[0], output, none, none.long(), none, flags, flags)
    return Transition(rows, inputs[1], torch.ones(n, 1), torch.full((n, 1), 0.5), flags)


@torch.no_grad()
def constant(trainer, *values):
    """Let the Q networks give these values everywhere, and V and its target 0."""
    for q, value in zip(trainer.q_networks, values, strict=True):
        q.head.weight.zero_()
        q.head.bias.fill_(value)
    for network in (trainer.value, trainer.target):
        network.head.weight.zero_()


def losses(trainer, rows):
    sample, temperature = trainer.sample(rows.input), torch.zeros_like(trainer.log_temperature)
    now = [q(rows.input, sample.continuous) for q in trainer.q_networks]
    policy = trainer.policy_loss(sample, trainer.climbed(now), temperature)
    q, value, _ = trainer.value_losses(rows, sample, now, temperature, trainer.views(rows))
    return policy.item(), [loss.item() for loss in q], value.item()


@pytest.mark.parametrize("actions", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
@pytest.mark.parametrize(
    ("values", "drawn", "smallest"),
    [
        ((3.0, 5.0), 2, {3.0: 1.0}),
        ((3.0, 5.0), 1, {3.0: 0.5, 5.0: 0.5}),
        ((1.0, 2.0, 6.0), 3, {1.0: 1.0}),
        ((1.0, 2.0, 6.0), 2, {1.0: 2 / 3, 2.0: 1 / 3}),
        ((1.0, 2.0, 6.0), 1, {1.0: 1 / 3, 2.0: 1 / 3, 6.0: 1 / 3}),
    ],
)
def test_a_target_is_the_smallest_of_the_critics_that_are_drawn(actions, values, drawn, smallest):
    trainer = make(actions, critics=len(values), target_critics=drawn)
    constant(trainer, *values)
    rows, found = batch(trainer), Counter()
    for _ in range(200):
        policy, q, value = losses(trainer, rows)
        found[round((2 * value) ** 0.5, 3)] += 1  # L_V = 1/2 (0 - min)^2
        # r + 0.5 V' = 1 + 0.5 * 0 for each of them: L_Q = 1/2 (1 - Q)^2
        assert q == pytest.approx([0.5 * (1 - each) ** 2 for each in values])
        assert policy == pytest.approx(-values[0] if len(values) == 2 else -3.0)  # (1 + 2 + 6) / 3
    assert {value: count / 200 for value, count in found.items()} == pytest.approx(smallest, abs=0.11)


def test_with_all_critics_in_the_target_nothing_is_drawn():
    for drawn, draws in ((3, False), (2, True)):
        trainer = make(DISCRETE, critics=3, target_critics=drawn)
        before = trainer.generator.get_state()
        trainer.update(batch(trainer))
        assert torch.equal(before, trainer.generator.get_state()) != draws


def test_each_hidden_layer_of_a_normalized_body_has_mean_0_and_deviation_1_before_the_swish():
    body = NetworkBody([vector_sensor(1, "seen")], NetworkSettings(hidden_units=2, num_layers=1), layer_norm=True)
    with torch.no_grad():
        body.layers[0].weight.copy_(torch.tensor([[1.0], [3.0]]))
    features, _ = body.features(PolicyInput.of((torch.tensor([[1.0], [-2.0]]),)))
    # (1, 3) and (-2, -6) are (-1, 1) and (1, -1) then; swish(-1) = -0.2689, swish(1) = 0.7311
    assert torch.allclose(features, torch.tensor([[-0.2689, 0.7311], [0.7311, -0.2689]]), atol=1e-4)


def test_far_from_what_was_seen_normalized_critics_stay_within_their_heads_norm():
    plain, normalized = (make(critic_layer_norm=norm, layers=2, hidden=16) for norm in (False, True))
    far = PolicyInput.of((1e4 * torch.randn(50, 2),))
    action = torch.zeros(50, 1)
    for network in (normalized.q1, normalized.q2):
        bound = network.head.weight.norm() * 16**0.5  # |w f| <= |w| |f|, and of normalized features |f|^2 is 16 at most
        assert network(far, action).abs().max() <= bound
    assert normalized.value(far).abs().max() <= normalized.value.head.weight.norm() * 4
    assert plain.q1(far, action).abs().max() > 100 * bound
    assert normalized.policy.body.norms is None


def test_every_critic_learns_and_is_restored():
    settings = {"critics": 4, "critic_layer_norm": True, "learning_rate": 1e-2}
    trainer, fresh = make(**settings), make(**settings, seed=1)
    before = {name: value.clone() for q in trainer.q_networks for name, value in enumerated(q)}
    for seed in range(3):
        metrics = trainer.update(batch(trainer, seed=seed))
    assert {f"Losses/Q{i} Loss" for i in (1, 2, 3, 4)} <= metrics.keys()
    assert all(not torch.equal(before[name], value) for q in trainer.q_networks for name, value in enumerated(q))
    fresh.load_state_dict(through_a_file(trainer.state_dict()))
    fresh.generator.set_state(trainer.generator.get_state())
    for each in (trainer, fresh):
        each.update(batch(each, seed=9))
    assert difference(trainer.state_dict(), fresh.state_dict()) is None


def enumerated(network):
    return [((id(network), name), value.detach()) for name, value in network.named_parameters()]


def test_a_policy_on_a_normalized_body_is_exported_as_it_is():
    class Normalized(Actor):
        def __init__(self, spec, settings):
            super().__init__(spec, settings)
            self.body = NetworkBody(spec.observation_specs, settings, layer_norm=True)

    policy = Normalized(BehaviorSpec([vector_sensor(2, "seen")], DISCRETE), NetworkSettings(hidden_units=8))
    check(policy, build(policy))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target_critics": 3}, "target_critics is 3; must not be more than critics, 2"),
        ({"critics": 1}, "greater than or equal to 2"),
        ({"critics": 101}, "less than or equal to 100"),
        ({"target_critics": 0}, "greater than or equal to 1"),
        ({"critic_layer_norm": "often"}, "valid boolean"),
    ],
)
def test_numbers_of_critics_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        SACSettings(**settings)


def test_a_file_is_told_what_cannot_be(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("behaviors:\n  Basic:\n    trainer_type: sac\n    hyperparameters: {target_critics: 3}\n")
    assert main(["a.yaml", "--env", "builtin:Basic", "--run-id", "run"]) == 2
    assert "target_critics is 3; must not be more than critics, 2" in capsys.readouterr().err


class Detour:
    """Walk along six pieces; the sign that leads on is another in each, and only at the end is there a reward of 1."""

    PIECE, STRIDE, LIMIT = 0.25, 0.1, 40
    SIGNS = torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0, 1.0], device="cpu")
    spec = BehaviorSpec([vector_sensor(7, "place")], CONTINUOUS)

    def __init__(self, agents):
        self.place, self.time = torch.zeros(agents), torch.zeros(agents)

    def piece(self):
        return (self.place / self.PIECE).long().clamp(0, 5)

    def sign(self):
        return self.SIGNS[self.piece()]

    def obs(self):
        return torch.cat([torch.nn.functional.one_hot(self.piece(), 6).float(), self.place[:, None]], 1)

    def step(self, action):
        walked = self.STRIDE * self.sign() * action.continuous[:, 0].clamp(-1, 1)
        self.place = (self.place + walked).clamp(-0.2)
        self.time += 1
        there = self.place >= 6 * self.PIECE
        after, late = self.obs(), self.time == self.LIMIT
        done = there | late
        self.place[done] = self.time[done] = 0
        return after, there.float(), done, late & ~there


@pytest.fixture
def shown(tmp_path):
    """Three walks of an expert."""
    env = Detour(1)
    with DemonstrationRecorder(tmp_path / "a.demo", "B", Detour.spec) as recorder:
        for _ in range(3):
            recorder.record([env.obs()[0].numpy()], 0.0)
            done = False
            while not done:
                action = 0.9 * env.sign()[:, None]
                after, reward, over, _ = env.step(Actions(action, torch.zeros(1, 0, dtype=torch.int64)))
                done = bool(over)
                recorder.record([after[0].numpy()], float(reward), continuous=action[0].numpy(), done=done)
    return DemonstrationSettings(sources=[{"file": str(tmp_path / "a.demo")}])


def arrivals(demonstrations, rows, *, enough=1000):
    """Return a loop of 16 agents after so many rows, and how often they came to the end; it stops where `enough` did."""
    trainer = make(
        spec=Detour.spec, demonstrations=demonstrations, hidden=32, layers=2, critics=4, critic_layer_norm=True,
        batch_size=64, learning_rate=3e-3, steps_per_update=4, init_entcoef=0.01, tau=0.05,
    )  # fmt: skip
    loop = Loop(trainer, Detour(16))
    while loop.step < rows and 16 * sum(loop.rewards) < enough:
        loop.run(160)
    return loop, 16 * sum(loop.rewards)


def test_with_demonstrations_in_line_a_sparse_reward_is_found_and_without_it_is_not(shown):
    loop, came = arrivals(shown, 6000, enough=20)
    assert came >= 20
    assert loop.metrics["Replay/Demonstration Share"] == 0.5
    assert arrivals(None, loop.step)[1] < 2
