"""Behavioral cloning alone: experts that are cloned, numbers worked by hand, what is held out, which weights are kept."""

import logging
import math

import numpy as np
import pytest
import torch
from cloning import cloner_of, echoes, learn
from tiny_tasks import Corridor, Echo, make, through_a_file
from torch import nn

from mlagents.algorithms.bc import BCTrainer, forbidden
from mlagents.algorithms.fit import fit_of
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.data.experience import Actions
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException


def wrong(policy, env):
    """Return how often choices are wrong, and how far numbers are off."""
    input = policy.blank_input(env.agents)
    input.obs[0].copy_(env.obs())
    action, right = policy.env_action(policy.act(input, explore=False).action), env.expert()
    actions = env.spec.action_spec
    return (
        float((action.discrete != right.discrete).float().mean()) if actions.discrete_size else 0.0,
        float((action.continuous - right.continuous).abs().mean()) if actions.continuous_size else 0.0,
    )


@pytest.mark.parametrize(("continuous", "branches"), [(0, (4,)), (0, (4, 4)), (2, ()), (1, (4,))])
def test_an_expert_is_cloned_and_shuffled_actions_teach_nothing(cloner, continuous, branches):
    expert, judge = Echo(1, 5, continuous, branches), (500, 7, continuous, branches)
    trainer = cloner(expert.spec, echoes(expert, 400))
    learn(trainer, 12000)
    assert max(wrong(trainer.policy, Echo(*judge))) < 0.06
    shuffled = cloner(expert.spec, echoes(expert, 400, rights=np.random.default_rng(0)))
    learn(shuffled, 12000)
    assert max(wrong(shuffled.policy, Echo(*judge))) > 0.2


def corridor(choose, episodes, seed=0):
    """Return episodes of a walk through `Corridor`, and the share of them that reach its end."""
    walk, found, ended = Corridor(1, seed), [[]], 0
    while len(found) <= episodes:
        seen = walk.obs()
        choice = choose(walk)
        found[-1].append(([seen[0].numpy()], [], [int(choice)]))
        _, reward, done, _ = walk.step(Actions(torch.zeros(1, 0), torch.tensor([[int(choice)]])))
        ended += int(reward[0])
        if done[0]:
            found.append([])
    return found[:episodes], ended / episodes


def test_a_task_of_many_steps_is_solved_by_cloning_alone_and_not_by_what_is_paired_with_other_observations(cloner):
    def expert(walk):
        return walk.place[0] * walk.place[0] % 7 % 3

    shown, solved = corridor(expert, 12)
    assert solved == 1.0

    def played(episodes):
        trainer = cloner(Corridor.spec, episodes)
        learn(trainer, 8000)

        def policy(walk):
            input = trainer.policy.blank_input(1)
            input.obs[0].copy_(walk.obs())
            return trainer.policy.act(input, explore=False).action.discrete[0, 0]

        return corridor(policy, 5)[1]

    assert played(shown) == 1.0
    late = [[(seen, none, before) for (seen, none, _), (_, _, before) in zip(e, [e[0], *e], strict=False)] for e in shown]
    assert played(late) == 0.0


def test_the_loss_is_as_worked_by_hand(cloner):
    spec = BehaviorSpec([vector_sensor(1, "x")], ActionSpec(1, (2, 3)))
    shown = [[([np.zeros(1)], [0.2], [1, 0]), ([np.zeros(1)], [-0.1], [0, 2])]]
    trainer = cloner(spec, shown, mask=np.array([True, True, True, False, True]))
    policy = trainer.learner
    with torch.no_grad():
        policy.head.weight.zero_()
        policy.head.bias.copy_(torch.tensor([0.3, 0.0, math.log(3), math.log(2), 9.0, 0.0]))
        policy.log_sigma.fill_(math.log(0.5))
    # samples are three times what the environment got; the choice that is masked has no part of the probability
    gauss = [((3 * a - 0.3) / 0.5) ** 2 / 2 + math.log(0.5) + math.log(2 * math.pi) / 2 for a in (0.2, -0.1)]
    choices = -math.log(3 / 4) - math.log(2 / 3) - math.log(1 / 4) - math.log(1 / 3)
    metrics = trainer.learn(0)
    assert metrics["Losses/Cloning Loss"] == pytest.approx((sum(gauss) + choices) / 2, rel=1e-5)
    assert metrics["Imitation/Absolute Error"] == pytest.approx((0.1 + 0.2) / 2, rel=1e-5)
    assert metrics["Imitation/Accuracy of Branch 0"] == metrics["Imitation/Accuracy of Branch 1"] == 0.5
    assert metrics["Policy/Sigma"] == pytest.approx(0.5 / 3, rel=0.02)


def test_whole_episodes_are_held_out_and_nothing_is_learned_from_them(cloner):
    env = Echo(1, 5, 1, (4,))
    shown = echoes(env, 80, decisions=8)
    trainer = cloner(env.spec, shown, held_out=0.3)
    split = trainer._split
    assert len(split.held_out) == 3 and len(split.measured) == 24 and len(split.learned) == 56
    held = [shown[i] for i in split.held_out.tolist()]
    assert torch.equal(split.measured.input.obs[0], torch.tensor(np.array([row[0][0] for e in held for row in e])))
    for i in split.held_out.tolist():
        shown[i] = [(seen, [0.9], [3]) for seen, _, _ in shown[i]]
    other = cloner(env.spec, shown, held_out=0.3)
    for one in (trainer, other):
        learn(one, 2000)
    assert torch.equal(trainer.learner.head.weight, other.learner.head.weight)
    assert trainer.progress.best != other.progress.best


def test_the_policy_is_the_learner_at_its_smallest_held_out_loss(cloner):
    env = Echo(1, 5, 0, (4,))
    shown = echoes(env, 60, rights=np.random.default_rng(0))  # nothing to learn: it can only learn by heart
    trainer = cloner(env.spec, shown, held_out=0.2, learning_rate=0.01)
    losses = [metrics["Losses/Held-Out Loss"] for metrics in learn(trainer, 6000)]
    assert losses[-1] > min(losses) + 0.1
    split = trainer._split
    measured = fit_of(trainer.policy, split.measured, torch.zeros(len(split.measured))).loss.item()
    assert measured == pytest.approx(min(losses), rel=1e-5) and trainer.progress.best == min(losses)
    learned = len(split.learned) // 32 * 32
    assert trainer.progress.best_step == learned * (1 + losses.index(min(losses)))
    assert trainer.imitation.held_out_loss == min(losses)


def test_patience_ends_at_the_last_epoch_that_brought_nothing_better(cloner):
    env = Echo(1, 5, 0, (4,))
    shown = echoes(env, 60, rights=np.random.default_rng(0))
    trainer, step, losses = cloner(env.spec, shown, held_out=0.2, learning_rate=0.01, patience=3), 0, []
    while not trainer.converged:
        losses += [m["Losses/Held-Out Loss"] for m in [trainer.learn(step)] if "Losses/Held-Out Loss" in m]
        step += trainer.learned_rows
    assert len(losses) == losses.index(min(losses)) + 4
    endless = cloner(env.spec, shown, held_out=0.2, learning_rate=0.01)
    learn(endless, step + 2000)
    assert not endless.converged


def test_without_held_out_episodes_the_newest_weights_are_kept(cloner, caplog):
    caplog.set_level(logging.INFO, "mlagents")
    env = Echo(1, 5, 1, ())
    trainer = cloner(env.spec, echoes(env, 40), held_out=0.0)
    learn(trainer, 500)
    assert trainer.policy is trainer.learner and trainer.imitation.held_out_loss is None
    assert "40 rows of 10 episodes are learned from, 0 rows of 0 are held out" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    cloner(env.spec, echoes(env, 40, decisions=40), held_out=0.5)
    assert "There is one episode, so none is held out" in caplog.text


def test_what_is_saved_within_the_first_epoch_has_learned(cloner):
    env = Echo(1, 5, 1, ())
    trainer = cloner(env.spec, echoes(env, 400))
    trainer.learn(0)
    assert trainer.policy is not trainer.learner
    assert torch.equal(trainer.policy.head.weight, trainer.learner.head.weight)


def test_sigma_stays_within_its_bounds(cloner):
    env = Echo(1, 5, 1, ())
    narrow = cloner(env.spec, echoes(env, 100), min_sigma=0.1, learning_rate=0.03)
    learn(narrow, 6000)
    assert narrow.learner.log_sigma.exp().item() == pytest.approx(0.3)  # of samples, three times as wide
    rng = np.random.default_rng(0)
    shown = [[([np.zeros(1)], rng.choice([-5.0, 5.0], 1), []) for _ in range(8)] for _ in range(10)]
    wide = cloner(BehaviorSpec([vector_sensor(1, "x")], ActionSpec(1, ())), shown, learning_rate=0.1)
    learn(wide, 6000)
    assert wide.learner.log_sigma.exp().item() == pytest.approx(3.0)


def test_weight_decay_draws_weights_to_zero_and_leaves_biases_and_sigma_alone(cloner):
    env = Echo(1, 5, 1, (4,))
    trainer = cloner(env.spec, echoes(env, 60), weight_decay=0.5)
    decays = {id(p): group["weight_decay"] for group in trainer.optimizer.param_groups for p in group["params"]}
    named = {name: decays[id(p)] for name, p in trainer.learner.named_parameters()}
    assert named == {name: 0.5 if name.endswith("weight") else 0.0 for name in named}
    free = cloner(env.spec, echoes(Echo(1, 5, 1, (4,)), 60))
    for one in (trainer, free):
        learn(one, 3000)
    assert trainer.learner.head.weight.norm() < free.learner.head.weight.norm()


def test_the_normalizer_knows_the_rows_that_are_learned_from(cloner):
    env = Echo(1, 5, 1, ())
    network = NetworkSettings(normalize=True, hidden_units=8, num_layers=1)
    trainer = cloner(env.spec, echoes(env, 100), network=network, held_out=0.5)
    obs = trainer._split.learned.input.obs[0]
    for policy in (trainer.policy, trainer.learner):
        normalizer = policy.body.normalizer
        assert normalizer.normalization_steps == 1 + len(obs)
        assert torch.allclose(normalizer.running_mean, obs.sum(0) / (1 + len(obs)), atol=1e-6)


def test_choices_that_masks_forbid_are_told(cloner, caplog):
    spec = BehaviorSpec([vector_sensor(1, "x")], ActionSpec(0, (2, 2)))
    shown = [[([np.zeros(1)], [], choice) for choice in ([0, 0], [0, 1], [1, 1])]] * 2
    trainer = cloner(spec, shown, mask=np.array([True, True, True, False]))
    assert forbidden(trainer._shown, (2, 2)) == 4
    assert "4 of 6 demonstrated rows have choices that their masks forbid" in caplog.text
    assert math.isfinite(trainer.learn(0)["Losses/Cloning Loss"])


def test_ppo_begins_with_a_clone_and_a_clone_with_ppo(cloner):
    env = Echo(1, 5, 1, (4,))
    clone = cloner(env.spec, echoes(env, 60))
    learn(clone, 1000)
    ppo = make(PPOTrainer, env.spec, hidden=32, batch_size=16, buffer_size=64)
    ppo.policy.load_state_dict(through_a_file(clone.state_dict())["Policy"])
    assert torch.equal(ppo.policy.log_sigma, clone.policy.log_sigma)
    fresh = cloner_of(clone.path, env.spec, seed=4)
    fresh.begin_with(through_a_file(ppo.state_dict())["Policy"])
    for policy in (fresh.policy, fresh.learner):
        assert torch.equal(policy.head.weight, clone.policy.head.weight)
    assert fresh.progress.best is None


def test_a_subclass_may_replace_the_loss(cloner):
    class Certain(BCTrainer):
        def loss(self, fit):
            return 0 * fit.loss

    env = Echo(1, 5, 0, (4,))
    trainer = cloner(env.spec, echoes(env, 60), kind=Certain)
    before = trainer.learner.head.weight.detach().clone()
    learn(trainer, 200)
    assert torch.equal(trainer.learner.head.weight, before)


def test_weights_that_are_no_numbers_are_not_kept(cloner):
    env = Echo(1, 5, 0, (4,))
    trainer = cloner(env.spec, echoes(env, 60))
    learn(trainer, 100)
    good = trainer.policy.head.weight.detach().clone()
    with torch.no_grad():
        nn.init.constant_(trainer.learner.head.weight, math.nan)
    with pytest.raises(ArithmeticError, match=r"the Learner's 'head\.weight' holds NaN"):
        trainer.learn(100)
    assert torch.equal(trainer.policy.head.weight, good)


def test_demonstrations_that_do_not_fit_are_refused_with_their_key(cloner, tmp_path):
    env = Echo(1, 5, 1, ())
    cloner(env.spec, echoes(env, 8))
    with pytest.raises(DemonstrationException, match=r"^demonstrations: .*0.demo does not fit this behavior: it has 1 cont"):
        cloner_of(tmp_path / "0.demo", Echo(1, 5, 0, (4,)).spec)
    with DemonstrationRecorder(tmp_path / "one.demo", "B", env.spec) as recorder:
        recorder.record([np.zeros(5)], 0.0, np.zeros(1))
    with pytest.raises(DemonstrationException, match=r"^demonstrations: .*one.demo holds no two records that follow"):
        cloner_of(tmp_path / "one.demo", env.spec)
