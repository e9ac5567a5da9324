"""Which rows are learned from together, against a slow account in plain Python; and memory walked along sequences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents.data.experience import PolicyInput
from mlagents.data.minibatches import Walk, minibatches, sequence_minibatches, sequences, steps_of
from mlagents.nn.distributions import Categorical
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

rows = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=40)
QUICK = settings(max_examples=60, deadline=None)


def columns(table):
    return torch.tensor([lane for lane, _ in table]), torch.tensor([closes for _, closes in table])


def slow_sequences(table, length):
    """Return the rows of each sequence: per lane, cut behind closing rows and after `length` rows."""
    open_, found = {}, []
    for row, (lane, closes) in enumerate(table):
        if lane not in open_ or len(open_[lane]) == length:
            open_[lane] = []
            found.append(open_[lane])
        open_[lane].append(row)
        if closes:
            del open_[lane]
    return sorted(map(tuple, found))


def grouped(number):
    return sorted(tuple(torch.nonzero(number == n)[:, 0].tolist()) for n in number.unique())


@QUICK
@given(rows, st.integers(1, 6))
def test_sequences_are_cut_at_ends_of_segments_and_after_so_many_rows(table, length):
    number = sequences(*columns(table), length)
    assert grouped(number) == slow_sequences(table, length)
    assert number.unique().tolist() == list(range(int(number.max()) + 1))  # no number is left out


@QUICK
@given(rows, st.integers(1, 6))
def test_steps_hold_the_rows_of_one_time_and_continue_the_first_ones_of_the_step_before(table, length):
    number = sequences(*columns(table), length)
    steps, groups = steps_of(number), {group[0]: group for group in grouped(number)}
    assert sorted(torch.cat(steps).tolist()) == list(range(len(table)))
    first = [groups[row] for row in steps[0].tolist()]
    assert len(first) == len(groups)
    for t, step in enumerate(steps):
        assert step.tolist() == [group[t] for group in first if len(group) > t]
        assert [len(group) > t for group in first] == sorted((len(group) > t for group in first), reverse=True)


@QUICK
@given(rows, st.integers(1, 6), st.integers(1, 50))
def test_minibatches_of_sequences_hold_whole_ones_in_order_and_none_twice(table, length, size):
    number = sequences(*columns(table), length)
    groups = set(slow_sequences(table, length))
    most, seen = min(max(size * len(groups) // len(table), 1), len(groups)), []
    for chosen in sequence_minibatches(number, size, torch.Generator().manual_seed(size)):
        left = chosen.tolist()
        assert len({number[row].item() for row in left}) == most
        while left:
            group = next(group for group in groups if group[0] == left[0])
            assert tuple(left[: len(group)]) == group
            seen.append(group)
            left = left[len(group) :]
    assert len(seen) == len(set(seen)) == len(groups) // most * most


def test_a_minibatch_of_short_sequences_has_its_rows_all_the_same():
    number = torch.arange(400) // 4
    assert {len(part) for part in sequence_minibatches(number, 64, torch.Generator())} == {64}


@QUICK
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 5))
def test_random_minibatches_are_full_and_hold_no_row_twice(n, size, seed):
    parts = list(minibatches(n, size, torch.Generator().manual_seed(seed)))
    again = list(minibatches(n, size, torch.Generator().manual_seed(seed)))
    assert [len(part) for part in parts] == [size] * (n // size)
    together = torch.cat([*parts, torch.zeros(0, dtype=torch.int64)]).tolist()
    assert len(set(together)) == len(together) and set(together) <= set(range(n))
    assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))


class Remembering(Policy):
    """A GRU cell without inputs of its own but what is seen."""

    memory_size = 4

    def __init__(self):
        super().__init__(BehaviorSpec([vector_sensor(2, "seen")], ActionSpec.create_discrete((3,))))
        self.cell, self.head = torch.nn.GRUCell(2, 4), torch.nn.Linear(4, 3)
        self.rows = 0  # that were computed

    def forward(self, input):
        self.rows += len(input)
        memory = self.cell(input.obs[0], input.memory)
        return Categorical(self.head(memory), input.mask, self.branches), memory


def remembered(table, length):
    """Return a policy and the rows it acted in one at a time, as agents in lanes; a lane that closes begins anew."""
    torch.manual_seed(1)
    policy, memory, found = Remembering(), {}, []
    for lane, closes in table:
        before = memory.get(lane, torch.zeros(1, 4))
        input = PolicyInput((torch.randn(1, 2),), torch.ones(1, 3, dtype=torch.bool), before)
        output = policy.act(input)
        memory[lane] = output.memory
        if closes:
            del memory[lane]
        found.append((input, output))
    number = sequences(*columns(table), length)
    inputs = PolicyInput.concat([input for input, _ in found])
    outputs = type(found[0][1]).concat([output for _, output in found])
    return policy, inputs, outputs, number


@settings(max_examples=25, deadline=None)
@given(rows, st.integers(1, 6))
def test_sequences_are_evaluated_as_agents_acted_one_row_at_a_time(table, length):
    policy, input, output, number = remembered(table, length)
    policy.rows = 0
    log_prob, entropy = policy.evaluate_sequences(input, output.action, number)
    assert torch.allclose(log_prob, output.log_prob, atol=1e-5)
    assert torch.allclose(entropy, output.entropy, atol=1e-5)
    assert policy.rows == len(table)  # nothing is padded


@settings(max_examples=10, deadline=None)
@given(rows, st.integers(1, 6))
def test_gradients_through_memory_equal_those_of_an_unrolled_sequence(table, length):
    policy, input, output, number = remembered(table, length)
    weight = torch.linspace(-1, 1, len(table))[:, None]
    (policy.evaluate_sequences(input, output.action, number)[0] * weight).sum().backward()
    mine = [p.grad.clone() for p in policy.parameters()]
    policy.zero_grad()
    total = torch.zeros(())
    for group in slow_sequences(table, length):
        memory = input.memory[group[0]][None]
        for row in group:
            asked = input[torch.tensor([row])]
            distribution, memory = policy(PolicyInput(asked.obs, asked.mask, memory))
            total = total + (distribution.log_prob(output.action[torch.tensor([row])]) * weight[row]).sum()
    total.backward()
    for got, parameter in zip(mine, policy.parameters(), strict=True):
        assert torch.allclose(got, parameter.grad, atol=1e-4, rtol=1e-4)


def test_the_rows_of_a_minibatch_keep_their_sequences_under_any_numbers():
    policy, input, output, number = remembered([(0, False), (1, False), (0, False), (1, False)], 4)
    chosen = torch.tensor([1, 3])
    log_prob, _ = policy.evaluate_sequences(input[chosen], output.action[chosen], number[chosen] + 70)
    assert torch.allclose(log_prob, output.log_prob[chosen], atol=1e-5)


def test_a_walk_sees_every_row_once_an_epoch_in_another_order_each_time():
    walk = Walk(None, 12, 4, torch.Generator().manual_seed(0))
    epochs = [torch.cat([walk.next() for _ in range(3)]).tolist() for _ in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert walk.epochs == 3 and walk.between_epochs


def test_a_walk_leaves_out_what_fills_no_minibatch_and_takes_all_rows_where_there_are_few():
    walk = Walk(None, 11, 4, torch.Generator().manual_seed(0))
    assert len(set(torch.cat([walk.next(), walk.next()]).tolist())) == 8 and walk.epochs == 1
    few = Walk(None, 3, 4, torch.Generator().manual_seed(0))
    assert sorted(few.next().tolist()) == [0, 1, 2] and few.epochs == 1


def test_a_walk_through_sequences_takes_them_whole():
    sequence = torch.tensor([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    walk = Walk(sequence, 10, 5, torch.Generator().manual_seed(0))
    first, second = walk.next(), walk.next()
    assert sorted(torch.cat([first, second]).tolist()) == list(range(10)) and walk.epochs == 1
    for rows in (first, second):
        assert len(set(sequence[rows].tolist())) == 2
        assert rows.tolist() == [i for s in dict.fromkeys(sequence[rows].tolist()) for i in range(10) if sequence[i] == s]


@pytest.mark.parametrize("taken", range(5))
def test_a_walk_that_was_saved_goes_on_where_it_stood(taken):
    one, draws = Walk(None, 12, 4, torch.Generator().manual_seed(0)), torch.Generator()
    for _ in range(taken):
        one.next()
    other = Walk(None, 12, 4, draws)
    other.load_state_dict(one.state_dict())
    draws.set_state(one._generator.get_state())
    assert [one.next().tolist() for _ in range(7)] == [other.next().tolist() for _ in range(7)]
    assert one.epochs == other.epochs
