"""Every model equals its policy, whatever the policy is made of, over several steps of memory, and looks as Unity's do.

Each pair of choices stands in some combination of those that are tried; MLAGENTS_EVERY_EXPORT=1 tries all combinations.
"""

import itertools
import os
import random
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.export.export import build
from mlagents.export.importers import unreadable
from mlagents.export.trace import trace
from mlagents.nn.encoders import ENCODERS
from mlagents.nn.policy import Actor, SquashedActor
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples import catalog as examples
from mlagents_envs.examples.example import vector_sensor

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference")) / "onnx"
NONE, MOVES, MANY = (
    DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE, DimensionProperty.VARIABLE_SIZE,
)  # fmt: skip
NEAR = vector_sensor(3, "near")
ROWS, STEPS, TOLERANCE = 40, 3, 1e-5
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def sensor(*shape, name="sensor", goal=False):
    axes = {1: (NONE,), 2: (MANY, NONE), 3: (NONE, MOVES, MOVES)}[len(shape)]
    return ObservationSpec(shape, axes, ObservationType.GOAL_SIGNAL if goal else ObservationType.DEFAULT, name)


ACTIONS = {
    "continuous": ActionSpec.create_continuous(2),
    "discrete": ActionSpec.create_discrete((3, 2)),
    "hybrid": ActionSpec(1, (2, 4)),
}
SEEN = {  # sensors and settings
    "vector": ([NEAR], {}),
    "stacked": ([sensor(12, name="StackingSensor_size3_far"), NEAR], {"num_layers": 3}),
    **{
        kind: ([sensor(2, each.smallest, each.smallest + 1), NEAR], {"vis_encode_type": kind})
        for kind, each in ENCODERS.items()
    },
    "set beside a vector": ([sensor(4, 3), NEAR], {}),
    "sets alone": ([sensor(4, 3, name="a"), sensor(2, 5, name="b")], {"num_layers": 0}),
    "goal, hyper": ([sensor(2, goal=True), NEAR], {"num_layers": 2}),
    "goal, none": ([sensor(2, goal=True), NEAR], {"goal_conditioning_type": "none"}),
    "goal in an image": ([NEAR, sensor(1, 5, 6, goal=True), sensor(4, 3)], {"vis_encode_type": "match3"}),
    "critic's vector": ([sensor(2, name="hidden"), NEAR, vector_sensor(4, "privileged_map")], {"critic_only": ["hidden"]}),
    "critic's image and set": (
        [sensor(3, 9, 9, name="privileged_view"), sensor(4, 3), sensor(5, 2, name="privileged_crowd")], {},
    ),
}  # fmt: skip
MEMORIES = {
    "no memory": None,
    "lstm": MemorySettings(memory_size=6),
    "gru": MemorySettings(memory_size=5 + 1, memory_type="gru"),
}
CHOICES = {
    "kind": {"ppo": Actor, "sac": SquashedActor},
    "actions": ACTIONS,
    "seen": SEEN,
    "memory": MEMORIES,
    "normalize": {"normalized": True, "raw": False},
    "deterministic": {"exploring": False, "deterministic": True},
    "opset": {"9": 9, "11": 11, "15": 15},
}


def covering(choices, tried=40, seed=0):
    """Return combinations in which every pair of choices stands once at least: each the best of some random ones."""
    columns, rng = [list(each) for each in choices.values()], random.Random(seed)
    places = list(itertools.combinations(range(len(columns)), 2))
    missing = {(i, a, j, b) for i, j in places for a in columns[i] for b in columns[j]}
    found = []
    while missing:
        i, a, j, b = min(missing)  # so that each takes one away at least
        rows = [[rng.choice(column) for column in columns] for _ in range(tried)]
        rows = [tuple({i: a, j: b}.get(place, choice) for place, choice in enumerate(row)) for row in rows]
        pairs = [{(i, row[i], j, row[j]) for i, j in places} for row in rows]
        best = max(range(tried), key=lambda row: len(pairs[row] & missing))
        missing -= pairs[best]
        found.append(rows[best])
    return found


ALL = list(itertools.product(*CHOICES.values()))
TRIED = ALL if os.environ.get("MLAGENTS_EVERY_EXPORT") else covering(CHOICES)


def test_every_pair_of_choices_is_tried():
    pairs = [{(i, row[i], j, row[j]) for row in rows for i, j in itertools.combinations(range(len(CHOICES)), 2)}
             for rows in (TRIED, ALL)]  # fmt: skip
    assert pairs[0] == pairs[1]
    assert len(TRIED) < 100 or len(TRIED) == len(ALL)


def make(kind, actions, seen, memory, normalize, deterministic):
    """Return a policy that has seen rows, with a head so large that what it sees matters."""
    sensors, network = SEEN[seen]
    settings = {"hidden_units": 12, "num_layers": 1, "memory": MEMORIES[memory], "normalize": normalize, **network}
    torch.manual_seed(len(seen) + len(memory))
    made = CHOICES["kind"][kind](
        BehaviorSpec(sensors, ACTIONS[actions]), NetworkSettings(**settings, deterministic=deterministic)
    )
    made.observe(tuple(torch.randn(50, *each.shape) * 3 + 1 for each in sensors))
    with torch.no_grad():
        made.head.weight *= 10
        for parameter in made.parameters():
            if parameter.ndim == 1 or parameter is getattr(made, "log_sigma", None):  # biases begin as zeros
                parameter += 0.1 * torch.randn_like(parameter)
    return made


def random_input(policy, seed):
    """Return observations, some of whose entities are absent, and masks that leave each branch a choice."""
    rng = np.random.default_rng(seed)
    obs = [rng.normal(size=(ROWS, *each.shape)).astype(np.float32) for each in policy.spec.observation_specs]
    for column in obs:
        if column.ndim == 3:
            column[rng.random(column.shape[:2]) < 0.4] = 0.0
            column[0] = 0.0
    mask = np.ones((ROWS, 0), bool)
    for size in policy.branches:
        allowed = rng.random((ROWS, size)) < 0.5
        allowed[np.arange(ROWS), rng.integers(size, size=ROWS)] = True
        mask = np.concatenate([mask, allowed], 1)
    return obs, mask


def graph_of(policy):
    """Return the inputs and outputs that Unity's inference looks for: name, type and shape, in order."""
    inputs = [(f"obs_{i}", FLOAT, ["batch", *each.shape]) for i, each in enumerate(policy.spec.observation_specs)]
    outputs = [("version_number", FLOAT, [1]), ("memory_size", FLOAT, [1])]
    if policy.continuous:
        outputs += [
            ("continuous_actions", FLOAT, ["batch", policy.continuous]),
            ("continuous_action_output_shape", FLOAT, [1]),
            ("deterministic_continuous_actions", FLOAT, ["batch", policy.continuous]),
        ]
    if policy.branches:
        inputs.append(("action_masks", FLOAT, ["batch", sum(policy.branches)]))
        outputs += [
            ("discrete_actions", INT64, ["batch", len(policy.branches)]),
            ("discrete_action_output_shape", FLOAT, [1, len(policy.branches)]),
            ("deterministic_discrete_actions", INT64, ["batch", len(policy.branches)]),
        ]
    if policy.memory_size:
        inputs.append(("recurrent_in", FLOAT, ["batch", 1, policy.memory_size]))
        outputs.append(("recurrent_out", FLOAT, ["batch", 1, policy.memory_size]))
    return inputs, outputs


def described(values):
    return [
        (each.name, each.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim])
        for each in values
    ]  # fmt: skip


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def constants_of(policy):
    found = {"version_number": [3.0], "memory_size": [float(policy.memory_size)]}
    if policy.continuous:
        found["continuous_action_output_shape"] = [float(policy.continuous)]
    return {**found, **({"discrete_action_output_shape": [list(map(float, policy.branches))]} if policy.branches else {})}


def compare(policy, session):
    """Play the policy and its model side by side for some steps, each with its own memory."""
    memory = np.zeros((ROWS, policy.memory_size), np.float32)
    remembered = torch.zeros(ROWS, policy.memory_size)
    unseen = [i for i, each in enumerate(policy.spec.observation_specs) if each.name in policy.unseen]
    names = [each.name for each in session.get_outputs()]
    for step in range(STEPS):
        obs, mask = random_input(policy, step)
        feeds = {f"obs_{i}": np.full_like(column, np.nan) if i in unseen else column for i, column in enumerate(obs)}
        feeds |= {"action_masks": mask.astype(np.float32)} if policy.branches else {}
        feeds |= {"recurrent_in": memory[:, None]} if policy.memory_size else {}
        output = dict(zip(names, session.run(names, feeds), strict=True))
        input = PolicyInput(tuple(map(torch.from_numpy, obs)), torch.from_numpy(mask), remembered)
        expected = policy.act(input, explore=False)
        if policy.continuous:
            best = policy.env_action(expected.action).continuous.numpy()
            assert np.abs(output["deterministic_continuous_actions"] - best).max() <= TOLERANCE
            assert np.abs(output["continuous_actions"]).max() <= 1 + 1e-6  # tanh of onnxruntime rounds upward
            assert np.abs(output["continuous_actions"] - best).max() > 0.01  # it is drawn
        first = 0
        for branch, size in enumerate(policy.branches):
            chosen = [output[f"{how}discrete_actions"][:, branch] for how in ("", "deterministic_")]
            for choice in chosen:
                assert mask[np.arange(ROWS), first + choice].all()
            assert np.array_equal(chosen[1], expected.action.discrete[:, branch].numpy())
            first += size
        if policy.memory_size:
            memory, remembered = output["recurrent_out"][:, 0], expected.memory
            assert np.abs(memory - remembered.numpy()).max() <= TOLERANCE
            assert np.abs(memory).max() > 0.01


@pytest.mark.parametrize("row", TRIED, ids=", ".join)
def test_a_model_equals_its_policy_and_has_what_unity_looks_for(row):
    kind, actions, seen, memory, *rest = row
    normalize, deterministic, opset = (CHOICES[name][each] for name, each in zip(list(CHOICES)[4:], rest, strict=True))
    policy = make(kind, actions, seen, memory, normalize, deterministic)
    model = build(policy, opset=opset)
    onnx.checker.check_model(model)
    assert [each.version for each in model.opset_import] == [opset]
    assert unreadable(model) == []
    assert "LSTM" not in {node.op_type for node in model.graph.node}  # which Unity computes on some backends only
    assert (described(model.graph.input), described(model.graph.output)) == graph_of(policy)
    session = session_of(model)
    read = {name for node in model.graph.node for name in node.input}
    unseen = {f"obs_{i}" for i, each in enumerate(policy.spec.observation_specs) if each.name in policy.unseen}
    assert read & {each.name for each in model.graph.input} == {each.name for each in session.get_inputs()} - unseen
    feeds = {each.name: np.ones([1, *each.shape[1:]], np.float32) for each in session.get_inputs()}
    constants = constants_of(policy)
    assert dict(zip(constants, (each.tolist() for each in session.run(list(constants), feeds)), strict=True)) == constants
    compare(policy, session)


TRACED = [
    ("ppo", "discrete", "set beside a vector", "no memory"), ("ppo", "continuous", "goal, hyper", "gru"),
    ("sac", "hybrid", "goal in an image", "no memory"), ("sac", "continuous", "critic's vector", "lstm"),
    ("sac", "discrete", "critic's image and set", "no memory"),
]  # fmt: skip


@pytest.mark.parametrize("row", TRACED, ids=", ".join)
def test_a_traced_model_equals_its_policy_too_as_those_of_authors_are(row):
    policy = make(*row, normalize=True, deterministic=False)
    model = trace(policy, version=3.0, opset=9)
    assert unreadable(model) == []
    inputs, outputs = graph_of(policy)
    assert described(model.graph.input) == inputs
    assert {each.name for each in model.graph.output} == {name for name, *_ in outputs}
    compare(policy, session_of(model))
    assert trace(policy, version=3.0, opset=15).opset_import[0].version == 15


FAULTS = {  # what is planted in a policy after its model was built, so that the two differ
    "memory": lambda policy: policy.body.memory.cell.weight_hh.neg_(),
    "head": lambda policy: policy.head.weight.neg_(),
    "normalizer": lambda policy: policy.body.normalizer.running_mean.add_(1),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("kind", "memory"), [("ppo", "lstm"), ("ppo", "gru"), ("sac", "lstm")])
def test_a_model_of_another_policy_is_found(kind, memory, fault):
    policy = make(kind, "hybrid", "vector", memory, True, False)
    session = session_of(build(policy))
    compare(policy, session)
    with torch.no_grad():
        FAULTS[fault](policy)
    policy.load_state_dict(policy.state_dict())  # what a normalizer keeps at hand is computed anew
    with pytest.raises(AssertionError):
        compare(policy, session)


def same_specification(file, scene):
    """Return the specification of a scene of ours, or where there is none, of the model itself."""
    if scene is not None:
        return examples.make(scene, areas=1).SPEC
    sensors = [sensor(*shape[1:]) for name, _, shape in described(onnx.load(str(file)).graph.input) if name[:4] == "obs_"]
    return BehaviorSpec(sensors, ActionSpec.create_discrete((5,)))


UNITYS = {
    "3DBall": "3DBall", "3DBallHard": "3DBallHard", "Basic": "Basic", "PushBlock": "PushBlock", "Pyramids": "Pyramids",
    "PushBlockCollab": "PushBlockCollab", "GridWorldColab": None,
}  # fmt: skip


@pytest.mark.parametrize("name", UNITYS)
def test_names_shapes_and_constants_are_those_of_unitys_own_models(name):
    file = REFERENCE / f"{name}.onnx"
    if not file.is_file():
        pytest.skip("no model made in Unity here")
    pytest.importorskip("numba")
    theirs = onnx.load(str(file))
    ours = build(Actor(same_specification(file, UNITYS[name]), NetworkSettings(hidden_units=16)))
    assert described(ours.graph.input) == described(theirs.graph.input)
    mine, kept = ({each[0]: each for each in described(model.graph.output)} for model in (ours, theirs))
    later = {"deterministic_continuous_actions", "deterministic_discrete_actions"}  # which early models lack
    assert set(mine) - set(kept) <= later and not set(kept) - set(mine)
    if later & set(kept):
        assert list(mine) == list(kept)
    for output, (_, kind, shape) in kept.items():
        assert (mine[output][1], len(mine[output][2])) == (kind, len(shape))
        assert all(isinstance(size, str) or own == size for own, size in zip(mine[output][2], shape, strict=True))
    constants = [each for each in kept if each in ("version_number", "memory_size") or each.endswith("_output_shape")]
    assert len(constants) == 3
    feeds = {each: np.ones([1, *shape[1:]], np.float32) for each, _, shape in described(theirs.graph.input)}
    found = [session_of(model).run(constants, feeds) for model in (ours, theirs)]
    assert all(np.array_equal(*pair) for pair in zip(*found, strict=True))
    assert ours.opset_import[0].version == theirs.opset_import[0].version
    assert ours.ir_version == theirs.ir_version or set(mine) - set(kept)
