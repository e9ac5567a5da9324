"""Each fault that authors make is planted, and the check that is meant for it must see it; a healthy twin passes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from mlagents.api import Actions, PolicyInput, PPOTrainer
from mlagents.conformance import ConformanceError, acting, declarations, exporting, learning, persistence
from mlagents.conformance.subject import ANY_SPACE, CONTINUOUS, HYBRID, ONE_BRANCH, TWO_BRANCHES
from mlagents.conformance.tasks import CoinTask, binary_action

dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
DQNTrainer = dqn.DQNTrainer


class OneForAll:
    def act(self, input, *, explore=True):
        output = super().act(input, explore=explore)
        first = torch.zeros(len(input), dtype=torch.int64)
        return replace(output, action=output.action[first])


class Unmasked:
    def act(self, input, *, explore=True):
        return super().act(PolicyInput(input.obs, torch.ones_like(input.mask), input.memory), explore=explore)


class MaskedOnlyWhenGreedy:
    def act(self, input, *, explore=True):
        output = super().act(input, explore=explore)
        if not explore:
            return output
        free = super().act(PolicyInput(input.obs, torch.ones_like(input.mask), input.memory), explore=True)
        return replace(output, action=free.action)


class AlwaysExploring:
    def act(self, input, *, explore=True):
        return super().act(input, explore=True)


class DeafToDeterministic:
    def act(self, input, *, explore=True):
        self.deterministic = False
        return super().act(input, explore=explore)


class Moody:
    """Remembers the mean of what was seen, for all agents at once."""

    def act(self, input, *, explore=True):
        mood = getattr(self, "mood", 0.0)
        if len(input):
            self.mood = 0.5 * mood + input.obs[0].mean(0)
        seen = (input.obs[0] + mood, *input.obs[1:])
        return super().act(PolicyInput(seen, input.mask, input.memory), explore=explore)


class Gregarious:
    """Sees the others of its batch."""

    def act(self, input, *, explore=True):
        obs = tuple(column - column.mean(0) if len(column) else column for column in input.obs)
        return super().act(PolicyInput(obs, input.mask, input.memory), explore=explore)


class Confused:
    """Answers agents in the order of what they see, not in that in which they ask."""

    def act(self, input, *, explore=True):
        output = super().act(input, explore=explore)
        return replace(output, action=output.action[torch.argsort(input.obs[0][:, 0], stable=True)])


class WrongHead:
    """Plays something else than what is exported."""

    def act(self, input, *, explore=True):
        output = super().act(input, explore=explore)
        discrete = (output.action.discrete + 1) % torch.tensor(self.branches)
        return replace(output, action=Actions(output.action.continuous, discrete))


def spoiled(trainer, habit):
    """Return the trainer with a policy of this habit."""

    class Spoiled(trainer):
        def __init__(self, setup, settings):
            super().__init__(setup, settings)
            self.policy.__class__ = type(habit.__name__, (habit, type(self.policy)), {})

    return Spoiled


@pytest.mark.parametrize("trainer", [PPOTrainer, DQNTrainer])
@pytest.mark.parametrize(
    ("habit", "question", "words"),
    [
        (OneForAll, acting.every_agent_gets_its_own_action, "must not all get the same action"),
        (Unmasked, acting.a_masked_action_is_never_taken, "a masked action must not be taken"),
        (MaskedOnlyWhenGreedy, acting.a_masked_action_is_never_taken, "a masked action must not be taken"),
        (AlwaysExploring, acting.inference_is_deterministic, "in another call with explore=False"),
        (DeafToDeterministic, acting.inference_is_deterministic, "--deterministic has no effect"),
        (Moody, acting.actions_do_not_depend_on_earlier_calls, "which all agents share"),
        (Moody, acting.actions_do_not_depend_on_the_other_rows, "state is shared between agents"),
        (Gregarious, acting.actions_do_not_depend_on_the_other_rows, "a statistic of the batch"),
        (Confused, acting.actions_do_not_depend_on_the_order_of_rows, "in another order"),
        (WrongHead, exporting.the_exported_deterministic_output_is_the_greedy_action, "must be the greedy actions"),
        (WrongHead, exporting.the_exported_sampled_output_is_distributed_like_the_policy, "the frequency of an action"),
    ],
)
def test_a_bad_habit_of_a_policy_is_seen(ask, trainer, habit, question, words):
    with pytest.raises(ConformanceError, match=words):
        ask(spoiled(trainer, habit), question, TWO_BRANCHES)
    ask(trainer, question, TWO_BRANCHES)


@pytest.mark.parametrize("space", [CONTINUOUS, HYBRID])
@pytest.mark.parametrize(
    ("habit", "question"),
    [
        (OneForAll, acting.every_agent_gets_its_own_action),
        (AlwaysExploring, acting.inference_is_deterministic),
        (Moody, acting.actions_do_not_depend_on_earlier_calls),
    ],
)
def test_a_bad_habit_is_seen_with_numbers_too(ask, habit, question, space):
    with pytest.raises(ConformanceError):
        ask(spoiled(PPOTrainer, habit), question, space)
    ask(PPOTrainer, question, space)


class AtTheGreedyChoice(DQNTrainer):
    def td_target(self, batch):
        now = self.policy.distribution(batch.input).mode().discrete
        after = self.target.chosen(self.target.q_values(batch.next_input), now)
        return batch.returns + batch.discount * after.mean(1, keepdim=True).detach()


class AtTheTakenChoice(DQNTrainer):
    def td_target(self, batch):
        after = self.target.chosen(self.target.q_values(batch.next_input), batch.action.discrete)
        return batch.returns + batch.discount * after.mean(1, keepdim=True).detach()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("trainer", [AtTheGreedyChoice, AtTheTakenChoice])
def test_a_next_value_at_the_present_choice_is_seen(ask, trainer, seed):
    question = learning.the_value_target_uses_the_next_states_best_action
    with pytest.raises(ConformanceError, match="at the present action"):
        ask(trainer, question, ONE_BRANCH, seed)


class DQNThatNeverStops(DQNTrainer):
    def td_target(self, batch):
        return super().td_target(replace(batch, discount=torch.full_like(batch.discount, 0.8)))


class DQNThatStopsAtLimits(DQNTrainer):
    def td_target(self, batch):
        return super().td_target(replace(batch, discount=batch.discount * ~batch.rows.done[:, None]))


class PPOThatNeverStops(PPOTrainer):
    def bootstrap(self, segments, value):
        rows = replace(segments.rows, interrupted=segments.rows.done)
        return super().bootstrap(replace(segments, rows=rows), value)


class PPOThatStopsAtLimits(PPOTrainer):
    def bootstrap(self, segments, value):
        rows = replace(segments.rows, interrupted=torch.zeros_like(segments.rows.done))
        return super().bootstrap(replace(segments, rows=rows), value)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("trainer", "space"),
    [
        (DQNThatNeverStops, ONE_BRANCH),
        (DQNThatStopsAtLimits, ONE_BRANCH),
        (PPOThatNeverStops, ONE_BRANCH),
        (PPOThatStopsAtLimits, ONE_BRANCH),
        (PPOThatNeverStops, CONTINUOUS),
        (PPOThatStopsAtLimits, CONTINUOUS),
    ],
)
def test_a_termination_taken_for_an_interruption_and_the_reverse_are_seen(ask, trainer, space, seed):
    with pytest.raises(ConformanceError, match="`done` is used without `interrupted`"):
        ask(trainer, learning.an_interruption_is_not_a_termination, space, seed)


def with_random_best(model):
    """Draw the deterministic choices of an exported model evenly, as a plug-in of Unity's did."""
    graph = model.graph
    best = next(node for node in graph.node if "deterministic_discrete_actions" in node.output)
    graph.node.remove(best)
    evenly = numpy_helper.from_array(np.zeros((1, 2), np.float32), "evenly")
    graph.initializer.append(evenly)
    graph.node.extend(
        [
            helper.make_node("Shape", ["obs_1"], ["rows"]),
            helper.make_node("Expand", ["evenly", "rows_and_choices"], ["everywhere"]),
            helper.make_node("Multinomial", ["everywhere"], ["drawn"], dtype=TensorProto.INT64, sample_size=2),
            helper.make_node("Identity", ["drawn"], ["deterministic_discrete_actions"]),
        ]
    )
    graph.node.insert(len(graph.node) - 3, helper.make_node("Mul", ["rows", "two"], ["rows_and_choices"]))
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2], np.int64), "two"))
    return model


@pytest.mark.parametrize("trainer", [PPOTrainer, DQNTrainer])
def test_a_deterministic_output_that_is_random_is_seen(ask, trainer, monkeypatch):
    question, build = exporting.the_exported_deterministic_output_is_the_greedy_action, exporting.build
    ask(trainer, question, TWO_BRANCHES)
    monkeypatch.setattr(exporting, "build", lambda policy: with_random_best(build(policy)))
    with pytest.raises(ConformanceError, match="usually the output is sampled"):
        ask(trainer, question, TWO_BRANCHES)


class Forgetful(DQNTrainer):
    """Saves no target network."""

    def modules(self):
        return {name: module for name, module in super().modules().items() if name != "Target"}


class ForgetfulOfRemembered(DQNTrainer):
    def state_dict(self):
        return {name: part for name, part in super().state_dict().items() if name != "replay"}


class ForgetfulOfSteps(PPOTrainer):
    def load_state_dict(self, state):
        self.policy.load_state_dict(state["Policy"])
        self.critic.load_state_dict(state["Optimizer:critic"])


class Arbitrary(PPOTrainer):
    """Saves what only pickle can."""

    def state_dict(self):
        return {**super().state_dict(), "spec": self.policy.spec}


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        (Forgetful, "more rows"),
        (ForgetfulOfRemembered, "more rows"),
        (ForgetfulOfSteps, "the loaded state must equal the saved one"),
        (Arbitrary, "only tensors and plain containers"),
    ],
)
def test_what_a_checkpoint_lacks_is_seen(ask, trainer, words):
    with pytest.raises(ConformanceError, match=words):
        ask(trainer, persistence.a_resumed_trainer_equals_one_that_never_stopped, TWO_BRANCHES)


class Unseeded(PPOTrainer):
    def targets(self, segments):
        batch, metrics = super().targets(segments)
        return replace(batch, advantage=batch.advantage * np.random.default_rng().uniform(0.9, 1.1)), metrics


def test_numbers_that_nobody_seeds_are_seen(ask):
    with pytest.raises(ConformanceError, match="without a seed"):
        ask(Unseeded, persistence.the_same_seed_gives_the_same_weights, CONTINUOUS)


class Contrary(PPOTrainer):
    def targets(self, segments):
        batch, metrics = super().targets(segments)
        return replace(batch, advantage=-batch.advantage), metrics


class Idle(PPOTrainer):
    def learn(self, step):
        return None


@pytest.mark.parametrize(
    ("trainer", "words"), [(Contrary, "the wrong sign"), (Idle, r"it always returned None")]
)
@pytest.mark.parametrize(
    ("question", "space"),
    [
        (learning.it_learns_to_copy_the_observation, HYBRID),
        (learning.it_learns_the_best_allowed_action, ONE_BRANCH),
        (learning.it_learns_to_reach_a_target, CONTINUOUS),
    ],
)
def test_who_learns_the_wrong_thing_or_nothing_is_seen(ask, trainer, words, question, space):
    with pytest.raises(ConformanceError, match=words):
        ask(trainer, question, space)


class Shown(CoinTask):
    """A coin that agents see after all."""

    def step(self, state, action, rng):
        right = binary_action(action) == (state[:, 0] > 0)
        return super().step(state, action, rng)._replace(reward=right)


@pytest.mark.parametrize("space", [ONE_BRANCH, CONTINUOUS])
def test_learning_where_there_should_be_nothing_to_learn_is_seen(ask, monkeypatch, space):
    monkeypatch.setattr(learning, "CoinTask", Shown)
    with pytest.raises(ConformanceError, match="guessed right half of the time"):
        ask(PPOTrainer, learning.nothing_is_learned_from_random_rewards, space)


class Infinite(PPOTrainer):
    def learn(self, step):
        metrics = super().learn(step)
        if metrics is not None:
            with torch.no_grad():
                self.policy.head.bias.fill_(float("nan"))
        return metrics


@pytest.mark.parametrize(
    ("trainer", "space", "words"),
    [
        (Infinite, CONTINUOUS, "training diverged"),
        (Idle, ONE_BRANCH, "weights must change"),
    ],
)
def test_weights_that_are_no_numbers_or_never_change_are_seen(ask, trainer, space, words):
    with pytest.raises(ConformanceError, match=words):
        ask(trainer, acting.agents_may_join_and_leave_at_any_tick, space)


class Quitting(PPOTrainer):
    def learn(self, step):
        raise SystemExit("enough")


def test_a_trainer_that_quits_is_a_fault_and_no_end(ask):
    with pytest.raises(ConformanceError, match="SystemExit: enough"):
        ask(Quitting, learning.it_learns_to_reach_a_target, CONTINUOUS)


class Loose(PPOTrainer):
    class Settings(PPOTrainer.Settings, extra="allow"):
        mood: float = 1.0


class Refusing(PPOTrainer):
    capabilities = replace(PPOTrainer.capabilities, continuous=False, discrete=False, hybrid=False)


@pytest.mark.parametrize(
    ("trainer", "question", "words"),
    [
        (Loose, declarations.an_unknown_setting_is_an_error, "learning_rat was accepted"),
        (Loose, declarations.every_setting_has_a_description, "mood has none"),
        (Refusing, declarations.some_action_space_is_supported, "excludes all"),
    ],
)
def test_empty_promises_are_seen(ask, trainer, question, words):
    with pytest.raises(ConformanceError, match=words):
        ask(trainer, question, ANY_SPACE)
