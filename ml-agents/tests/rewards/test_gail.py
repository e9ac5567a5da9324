"""GAIL: numbers worked by hand, what it refuses, and experts that are imitated without any other reward."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_tasks import TINY, Echo, Loop, batch, fill, make, record, signal, signal_maker, through_a_file

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.data.experience import Actions
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.gail import GAIL, PENALTY, bottleneck
from mlagents.rewards.signal import SignalBatch
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException

sys.path.insert(0, str(Path(__file__).parents[1] / "authors"))
from tanh_sac import TanhSACTrainer

TWO = BehaviorSpec([vector_sensor(1, "x"), vector_sensor(1, "y")], ActionSpec(1, (2,)))
FLAT = math.sqrt(1e-7)  # the length of a slope of 0, as it is kept from 0


@pytest.fixture
def demo(tmp_path):
    """Two episodes of zeros, in which the action is 0.5 and 1."""
    with DemonstrationRecorder(tmp_path / "a.demo", "B", TWO) as recorder:
        for _ in range(2):
            recorder.record([np.zeros(1)] * 2, 0.0, [0.0], [0])
            recorder.record([np.zeros(1)] * 2, 0.0, [0.5], [1])
            recorder.record([np.zeros(1)] * 2, 0.0, [0.5], [1], done=True)
    return str(tmp_path / "a.demo")


def made(demo, **settings):
    return signal(GAIL, TWO, **{"demo_path": demo, "network_settings": TINY, **settings})


def zeros(n=2, **given):
    return batch((torch.zeros(n, 1), torch.zeros(n, 1)), (torch.zeros(n, 1),) * 2, [[0.0]] * n, [[0]] * n, **given)


def test_the_reward_is_what_a_discriminator_that_knows_nothing_makes_it(demo):
    gail = made(demo)
    fill(gail.discriminator, 0.0)
    assert gail.evaluate(zeros()).tolist() == pytest.approx([math.log(2)] * 2)
    gail.discriminator.head.bias.data.fill_(math.log(3))  # D = 3/4
    assert gail.evaluate(zeros()).tolist() == pytest.approx([math.log(4)] * 2)
    gail.discriminator.head.bias.data.fill_(100.0)  # D = 1
    assert 0 < gail.evaluate(zeros())[0] < 20


def test_losses_and_estimates_are_as_worked_by_hand(demo):
    gail = made(demo)
    fill(gail.discriminator, 0.0)
    gail.discriminator.head.bias.data.fill_(math.log(3))
    assert gail.update(zeros()) == {
        "Policy/GAIL Policy Estimate": pytest.approx(0.75),
        "Policy/GAIL Expert Estimate": pytest.approx(0.75),
        "Losses/GAIL Loss": pytest.approx(-math.log(0.75) - math.log(0.25), rel=1e-5),
        "Policy/GAIL Grad Mag Loss": pytest.approx(PENALTY * (FLAT - 1) ** 2, rel=1e-5),
    }


def test_the_penalty_sees_every_observation(demo):
    gail = made(demo)
    fill(gail.discriminator, 0.0)
    body, head = gail.discriminator.body.layers[0].weight, gail.discriminator.head.weight
    with torch.no_grad():
        body.copy_(torch.tensor([[3.0, 4.0]]))
        head.fill_(8.0)
    inputs = (torch.zeros(5, 1), torch.zeros(5, 1))
    # D = sigma(8 silu(3 x + 4 y)): its slope at 0 is 1/4 * 8 * 1/2 * (3, 4), of length 5
    penalty = gail.penalty(inputs, inputs)
    assert penalty.item() == pytest.approx(16.0, rel=1e-5)
    penalty.backward()
    assert (body.grad != 0).all() and (head.grad != 0).all()


def test_the_penalty_sees_actions_too_where_they_are_used(demo):
    gail = made(demo, use_actions=True)
    fill(gail.discriminator, 0.0)
    with torch.no_grad():
        gail.discriminator.body.layers[0].weight.copy_(torch.tensor([[0.0, 0.0, 3.0, 0.0, 0.0, 4.0]]))  # and of `done`
        gail.discriminator.head.weight.fill_(8.0)
    inputs = (torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 4))
    assert gail.penalty(inputs, inputs).item() == pytest.approx(16.0, rel=1e-5)


def test_the_bottleneck_is_as_worked_by_hand():
    # 1 - 1 - log 1 + (1 + 0) / 2 = 0.5;  e^2 - 1 - 2 + (4 + 4) / 2 = e^2 + 1
    passes = bottleneck(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([1.0, math.e]))
    assert passes.item() == pytest.approx(math.e**2 + 1.5)


def test_beta_grows_while_too_much_passes_and_falls_to_zero_at_least(demo):
    gail = made(demo, use_vail=True, learning_rate=1e-9)
    gail.discriminator.mean.weight.data.zero_()
    for passing, beta, then in ((100.5, 0.0, 0.05), (0.5, 0.05, 0.05), (0.3, 0.00005, 0.0)):
        gail.discriminator.beta.fill_(beta)
        gail.discriminator.mean.bias.data.fill_(math.sqrt(passing / 128))
        metrics = gail.update(zeros())
        assert metrics["Losses/GAIL KL Loss"] == pytest.approx(passing, rel=1e-4)
        assert metrics["Policy/GAIL Beta"] == pytest.approx(beta)
        assert gail.discriminator.beta.item() == pytest.approx(then, abs=1e-6)


def test_the_noise_of_the_bottleneck_is_only_there_in_updates(demo):
    gail = made(demo, use_vail=True)
    assert torch.equal(gail.evaluate(zeros()), gail.evaluate(zeros()))
    inputs, draws = (torch.zeros(2, 1), torch.zeros(2, 1)), torch.Generator().manual_seed(1)
    assert not torch.equal(*(gail.discriminator(inputs, draws).estimate for _ in range(2)))


def test_actions_are_compared_as_the_environment_got_them(demo):
    gail = made(demo, use_actions=True)
    rows = zeros(done=[False, True])
    sampled = SignalBatch(
        rows.rows, lambda: rows.next_input, lambda action: Actions(action.continuous + 0.5, 1 - action.discrete)
    )
    shown = gail.discriminator.inputs(gail.expert.input.obs, gail.expert.output.action, gail.expert.done)
    assert shown[-1].tolist() == [[0.5, 0, 1, 0], [0.5, 0, 1, 1]] * 2
    assert gail._inputs(sampled)[-1].tolist() == [[0.5, 0, 1, 0], [0.5, 0, 1, 1]]


def test_the_scale_is_that_of_the_demonstration_from_the_start_on(demo):
    gail = made(demo, network_settings=NetworkSettings(normalize=True))
    assert gail.discriminator.body.normalizer.normalization_steps == 5
    gail.update(zeros())
    assert gail.discriminator.body.normalizer.normalization_steps == 5


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            BehaviorSpec([vector_sensor(1, "x"), vector_sensor(3, "depth")], TWO.action_spec),
            "sensor 1 'depth' has shape",
        ),
        (BehaviorSpec([vector_sensor(1, "x")], TWO.action_spec), "it has 2 sensors; the behavior has 1"),
        (BehaviorSpec(TWO.observation_specs, ActionSpec(2, (2,))), "1 continuous actions; the behavior has 2"),
        (
            BehaviorSpec(TWO.observation_specs, ActionSpec(1, (3,))),
            r"discrete branches are \(2,\); the behavior's are \(3,\)",
        ),
    ],
)
def test_a_demonstration_of_other_agents_is_refused_with_what_differs(demo, spec, words):
    with pytest.raises(
        DemonstrationException, match=rf"^reward_signals.gail.demo_path: .*a.demo does not fit.*{words}"
    ):
        signal(GAIL, spec, demo_path=demo)


def test_a_demonstration_without_a_row_is_refused(tmp_path):
    with DemonstrationRecorder(tmp_path / "b.demo", "B", TWO) as recorder:
        recorder.record([np.zeros(1)] * 2, 0.0, [0.0], [0])
    with pytest.raises(DemonstrationException, match="there is nothing to imitate"):
        made(str(tmp_path / "b.demo"))


def test_a_folder_is_read_as_one_and_the_end_of_each_file_is_known(demo):
    with DemonstrationRecorder(Path(demo).parent / "b.demo", "B", TWO) as recorder:
        for _ in range(3):
            recorder.record([np.ones(1)] * 2, 0.0, [0.25], [0])
    expert = made(str(Path(demo).parent)).expert
    assert expert.input.obs[0].flatten().tolist() == [0, 0, 0, 0, 1, 1]
    assert expert.done.tolist() == [False, True, False, True, False, False]
    assert expert.interrupted.tolist() == [False] * 5 + [True]


def imitator(tmp_path, env, kind=PPOTrainer, seed=1, **settings):
    path = tmp_path / "expert.demo"
    if not path.exists():
        record(path, Echo(1, 5, env.spec.action_spec.continuous_size, env.spec.action_spec.discrete_branches), 200)
    gail = signal_maker(
        GAIL, env.spec, demo_path=str(path), use_actions=True, learning_rate=2e-3, gamma=0.9,
        network_settings=NetworkSettings(hidden_units=32, num_layers=1), **settings,
    )  # fmt: skip
    given = {"batch_size": 64, "buffer_size": 256, "learning_rate": 3e-3, "learning_rate_schedule": "constant"}
    if kind is TanhSACTrainer:
        given = {**given, "buffer_size": 4000, "buffer_init_steps": 64, "steps_per_update": 4.0, "init_entcoef": 0.05}
    return make(kind, env.spec, [gail], seed=seed, **given)


def error(trainer, env):
    """Return how often choices are wrong, and how far numbers are off."""
    input = trainer.policy.blank_input(env.agents)
    input.obs[0].copy_(env.obs())
    action = trainer.policy.env_action(trainer.policy.act(input, explore=False).action)
    right = env.expert()
    wrong = (action.discrete != right.discrete).float().mean() if action.discrete.shape[1] else 0.0
    return float(wrong), float((action.continuous - right.continuous).abs().mean()) if right.continuous.shape[
        1
    ] else 0.0


@pytest.mark.parametrize("use_vail", [False, True])
def test_an_expert_is_imitated_without_any_other_reward(tmp_path, use_vail):
    env = Echo(64, continuous=0)
    trainer = imitator(tmp_path, env, use_vail=use_vail)
    assert error(trainer, Echo(500, 7, 0))[0] > 0.4
    loop = Loop(trainer, env).run(16_000)
    assert error(trainer, Echo(500, 7, 0))[0] < 0.05
    assert 0.3 < loop.metrics["Policy/GAIL Policy Estimate"] < 0.6
    assert "Policy/Gail Reward" in loop.metrics


def test_an_off_policy_trainer_imitates_too(tmp_path):
    env = Echo(16, branches=())
    trainer = imitator(tmp_path, env, TanhSACTrainer)
    assert error(trainer, Echo(500, 7, 1, ()))[1] > 0.2
    loop = Loop(trainer, env).run(6000)
    assert error(trainer, Echo(500, 7, 1, ()))[1] < 0.12
    assert np.mean(loop.metrics["Policy/Gail Reward"]) > 0


def test_an_imitator_that_resumed_learns_what_one_that_never_stopped_does(tmp_path):
    loop = Loop(imitator(tmp_path, Echo(32), use_vail=True), Echo(32)).run(1500)
    loop.trainer.forget()
    loop.trainer.signals[0].discriminator.beta.fill_(0.125)
    resumed = imitator(tmp_path, Echo(32), seed=8, use_vail=True)
    resumed.load_state_dict(through_a_file(loop.trainer.state_dict()))
    resumed.generator.set_state(loop.trainer.generator.get_state())
    assert resumed.signals[0].discriminator.beta == 0.125
    one, other = (Loop(trainer, Echo(32, 3), step=1500).run(1500).trainer for trainer in (loop.trainer, resumed))
    assert torch.equal(one.policy.head.weight, other.policy.head.weight)
    assert str(one.signals[0].discriminator.state_dict()) == str(other.signals[0].discriminator.state_dict())
