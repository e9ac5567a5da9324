import os
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityPolicyException
from mlagents_envs.model import Model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[3] / "shared" / "reference")) / "onnx"
INT64, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
INPUTS = {"obs_0": ["batch", 2], "obs_1": ["batch", 1], "action_masks": ["batch", 3], "recurrent_in": ["batch", 1, 4]}
NODES = {  # output -> kind, inputs
    "version_number": ("Identity", ["version"]),
    "continuous_actions": ("Identity", ["obs_0"]),
    "deterministic_continuous_actions": ("Mul", ["obs_0", "half"]),
    "continuous_action_output_shape": ("Identity", ["two"]),
    "first": ("Mul", ["action_masks", "falling"]),
    "last": ("Mul", ["action_masks", "rising"]),
    "deterministic_discrete_actions": ("ArgMax", ["first"]),
    "discrete_actions": ("ArgMax", ["last"]),
    "discrete_action_output_shape": ("Identity", ["three"]),
    "recurrent_out": ("Add", ["recurrent_in", "one"]),
    "silent": ("Identity", ["obs_1"]),
}
CONSTANTS = {
    "version": [3], "half": [0.5], "two": [2], "three": [[3]], "one": [1], "falling": [3, 2, 1], "rising": [1, 2, 3],
}  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """A function that writes a hybrid recurrent policy, without some of its outputs, and returns its path.

    Its sample is obs_0 and the last choice that is allowed; deterministic, the half of obs_0 and the first choice.
    It counts in its memory.
    """

    def save(*without, **constants):
        nodes = [
            onnx.helper.make_node(kind, into, [out], **({"axis": 1, "keepdims": 1} if kind == "ArgMax" else {}))
            for out, (kind, into) in NODES.items()
        ]
        value = onnx.helper.make_tensor_value_info
        outputs = [
            value(name, INT64 if name.endswith("discrete_actions") else FLOAT, None)
            for name in NODES
            if name not in (*without, "first", "last", "silent")
        ]
        given = {name: np.asarray(number, np.float32) for name, number in {**CONSTANTS, **constants}.items()}
        made = onnx.helper.make_graph(
            nodes, "model", [value(name, FLOAT, shape) for name, shape in INPUTS.items()], outputs,
            [onnx.numpy_helper.from_array(array, name) for name, array in given.items()],
        )  # fmt: skip
        path = tmp_path / "model.onnx"
        onnx.save(
            onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path
        )
        return path

    return save


@pytest.fixture
def model(write):
    return Model(write())


OBS = [np.array([[0.5, -2.0], [0.25, 1.0], [0.0, 0.75]]), np.zeros((3, 1))]  # of three agents
ONE = [column[0] for column in OBS]


def test_a_model_tells_what_it_sees_and_does(model):
    assert [(sensor.name, sensor.shape) for sensor in model.spec.observation_specs] == [("obs_0", (2,)), ("obs_1", (1,))]
    assert model.spec.action_spec == ActionSpec.create_hybrid(2, (3,))
    assert (model.memory_size, model.deterministic, model.joined) == (4, True, False)
    assert repr(model) == "<Model model.onnx: obs_0 (2,), obs_1 (1,) -> Continuous: 2, Discrete: (3,); memory 4>"


def test_agents_act_together_within_one(model):
    output = model.act(OBS)
    assert output.continuous.tolist() == [[0.5, -1.0], [0.25, 1.0], [0.0, 0.75]]  # as Unity does
    assert output.discrete.tolist() == [[2], [2], [2]]
    assert output.discrete.dtype == np.int32
    assert np.array_equal(output.action.continuous, output.continuous)


def test_the_mean_and_the_most_probable_are_asked_for(model):
    output = model.act(OBS, deterministic=True)
    assert output.continuous.tolist() == [[0.25, -1.0], [0.125, 0.5], [0.0, 0.375]]
    assert output.discrete.tolist() == [[0], [0], [0]]


def test_an_agent_alone_needs_no_axis(model):
    output = model.act(ONE, np.array([1, 1, 0]), np.full(4, 7.0))
    assert output.continuous.tolist() == [0.5, -1.0]
    assert output.discrete.tolist() == [1]
    assert output.memory.tolist() == [8] * 4
    assert (output.action.continuous.shape, output.action.discrete.shape) == ((1, 2), (1, 1))


def test_nobody_acts_where_nobody_asks(model):
    output = model.act([column[:0] for column in OBS], np.ones((0, 3)))
    assert (output.continuous.shape, output.discrete.shape, output.memory.shape) == ((0, 2), (0, 1), (0, 4))


@pytest.mark.parametrize(
    "mask",
    [
        np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]]),
        [[1, 1, 0], [0, 1, 0], [1, 0, 0]],
        [np.array([[True, True, False], [False, True, False], [True, False, False]])],  # one per branch
        (None, np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], np.int8)),  # as gymnasium has it beside continuous actions
        (None, (np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], np.int8),)),
    ],
)
def test_only_what_is_allowed_is_chosen(model, mask):
    assert model.act(OBS, mask).discrete.tolist() == [[1], [1], [0]]


def test_memory_is_the_callers(model):
    first = model.act(OBS)
    assert first.memory.tolist() == [[1] * 4] * 3
    again = model.act(OBS, memory=first.memory * np.array([[1], [0], [1]]))  # the second began anew
    assert again.memory[:, 0].tolist() == [2, 1, 2]
    assert model.act(OBS).memory.tolist() == [[1] * 4] * 3  # nothing is kept in the model


@pytest.mark.parametrize("name", ["Basic", "Match3", "WallJump"])
def test_decision_steps_carry_observations_and_masks(name, tmp_path):
    env = make(name, areas=3)
    env.reset()
    decision, _ = env.get_steps(env.behavior)
    path = write_masks_model(env.SPEC.action_spec, [sensor.shape for sensor in env.SPEC.observation_specs], tmp_path)
    answers, forbidden = Model(path).act(decision).discrete, decision.action_mask
    first = answers.shape[1]
    expected = np.ones_like(answers) if forbidden is None else ~np.concatenate(forbidden, axis=1)[:, :first]
    assert np.array_equal(answers, expected)


def write_masks_model(action, shapes, folder):
    """Write a model whose choices are the first numbers of the mask that it is given, one per branch."""
    branches = action.discrete_branches
    inputs = {f"obs_{i}": ["batch", *shape] for i, shape in enumerate(shapes)}
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(
        [node("Identity", ["sizes"], ["discrete_action_output_shape"]), node("Cast", ["action_masks"], ["mask"], to=INT64),
         node("Gather", ["mask", "columns"], ["discrete_actions"], axis=1),
         *(node("Identity", [name], [f"{name}_unused"]) for name in inputs)],
        "model", [value(name, FLOAT, shape) for name, shape in inputs.items()]
        + [value("action_masks", FLOAT, ["batch", sum(branches)])],
        [value("discrete_actions", INT64, None), value("discrete_action_output_shape", FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array([branches], np.float32), "sizes"),
         onnx.numpy_helper.from_array(np.arange(len(branches)), "columns")],
    )  # fmt: skip
    path = folder / "masks.onnx"
    onnx.save(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


class Tensor:
    """An array of another library."""

    def __init__(self, numbers):
        self._numbers = numbers

    def __array__(self, dtype=None, copy=None):
        return np.array(self._numbers, dtype)

    def __iter__(self):
        return map(Tensor, self._numbers)


@pytest.mark.parametrize("kind", [np.asarray, Tensor, np.ndarray.tolist], ids=["numpy", "other", "list"])
def test_the_only_sensor_needs_no_list_whatever_its_numbers_come_as(kind, tmp_path):
    model = Model(write_masks_model(ActionSpec.create_discrete((2, 3)), [(4,)], tmp_path))
    assert model.act(kind(np.zeros((6, 4)))).discrete.shape == (6, 2)
    assert model.act(kind(np.zeros(4))).discrete.shape == (2,)
    assert model.act([np.float32(1)] * 4).discrete.shape == (2,)


def test_several_sensors_come_as_arrays_of_any_library(model):
    assert np.array_equal(model.act([Tensor(column) for column in OBS]).continuous, model.act(OBS).continuous)


def test_a_mapping_is_taken_in_its_order(model):
    named = {"speed": OBS[0], "light": OBS[1]}
    assert np.array_equal(model.act(named).continuous, model.act(OBS).continuous)


@pytest.mark.parametrize(
    ("obs", "more", "sentence"),
    [
        (OBS[:1], {}, r"1 observations were given; it takes 2: obs_0 \(2,\), obs_1 \(1,\)$"),
        ([np.zeros((3, 5)), OBS[1]], {}, r"obs 0 has shape \(3, 5\); it takes \(2,\), or \('n', 2\) for n agents$"),
        ([np.zeros(5), np.zeros(1)], {}, r"obs 0 has shape \(5,\); it takes \(2,\)"),
        ([OBS[0], np.zeros((2, 1))], {}, "obs 0 is of 3 agents, and obs 1 of 2$"),
        ([np.full((3, 2), np.nan), OBS[1]], {}, r"obs 0 holds nan at \(0, 0\); it must be finite and within 1e\+15$"),
        ([np.array([["a", "b"]]), OBS[1]], {}, "obs 0 is no array of numbers"),
        (OBS, {"mask": np.ones((3, 2))}, r"the mask has shape \(3, 2\); it must be \(3, 3\) for branches of \(3,\)$"),
        (ONE, {"mask": np.ones((1, 3))}, r"the mask has shape \(1, 3\); it must be \(3,\) for"),
        (OBS, {"mask": np.eye(3) - 1}, "the mask allows no choice in branch 0; 1 or True is allowed, not forbidden$"),
        (OBS, {"memory": np.zeros((3, 1, 4))}, r"the memory has shape \(3, 1, 4\); it must be \(3, 4\)$"),
    ],
)
def test_what_does_not_fit_is_a_sentence(model, obs, more, sentence):
    with pytest.raises(UnityPolicyException, match=r"model\.onnx: " + sentence):
        model.act(obs, **more)




@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        (("continuous_actions", "discrete_actions"), "it has neither an output continuous_actions nor discrete_actio"),
        (("continuous_action_output_shape",), "its output continuous_actions comes without continuous_action_output_shape$"),
        (("recurrent_out",), "it has one of recurrent_in and recurrent_out without the other$"),
    ],
)
def test_what_is_no_policy_is_a_sentence(write, without, sentence):
    with pytest.raises(UnityPolicyException, match=r"model\.onnx: it is no policy of ML-Agents: " + sentence):
        Model(write(*without))


def test_a_network_of_something_else_is_a_sentence(tmp_path):
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["image"], ["class"])
    made = onnx.helper.make_graph([node], "m", [value("image", FLOAT, [1, 3])], [value("class", FLOAT, [1, 3])])
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(made, opset_imports=opset, ir_version=8), tmp_path / "other.onnx")
    with pytest.raises(UnityPolicyException, match=r"it is no policy of ML-Agents: it has no input obs_0, but image$"):
        Model(tmp_path / "other.onnx")


def test_a_later_format_is_a_sentence(write):
    with pytest.raises(UnityPolicyException, match=r"its format has the version 4, and the newest that is known is 3$"):
        Model(write(version=[4]))


def test_weights_that_are_none_are_a_sentence(write):
    broken = Model(write(half=[np.nan]))
    assert broken.act(OBS).continuous.shape == (3, 2)
    with pytest.raises(UnityPolicyException, match=r"it answers nan as continuous: its weights are unusable$"):
        broken.act(OBS, deterministic=True)


def test_deterministic_actions_that_are_not_offered_are_a_sentence(write):
    model = Model(write("deterministic_continuous_actions"))
    assert not model.deterministic
    with pytest.raises(UnityPolicyException, match="it offers no deterministic actions, as models before 2022; say det"):
        model.act(OBS, deterministic=True)


def test_a_damaged_file_is_a_sentence_whatever_is_damaged(write, capfd):
    whole, rng = write().read_bytes(), np.random.default_rng(3)
    path, refused = write().with_name("damaged.onnx"), 0
    for cut in range(200):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 12)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data if cut % 4 else data[: rng.integers(len(data))])
        try:
            Model(path).act(OBS)
        except UnityPolicyException as error:
            assert str(error).startswith(str(path))  # most are refused, but not all
            refused += 1
    assert refused > 100
    assert capfd.readouterr() == ("", "")


needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="Unity's models are not here")


@needs_reference
@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("3DBall", ActionSpec.create_continuous(2)),
        ("3DBallHard", ActionSpec.create_continuous(2)),
        ("Basic", ActionSpec.create_discrete((3,))),
        ("GridWorldColab", ActionSpec.create_discrete((5,))),
        ("PushBlock", ActionSpec.create_discrete((7,))),
        ("PushBlockCollab", ActionSpec.create_discrete((7,))),
        ("Pyramids", ActionSpec.create_discrete((5,))),
        ("SoccerTwos", ActionSpec.create_discrete((3, 3, 3))),
    ],
)
def test_unitys_own_models_act(name, action):
    model = Model(REFERENCE / f"{name}.onnx")
    assert model.spec.action_spec == action
    obs = [np.zeros((4, *sensor.shape)) for sensor in model.spec.observation_specs]
    output = model.act(obs)
    assert output.continuous.shape == (4, action.continuous_size)
    assert output.discrete.shape == (4, action.discrete_size)
    alone = model.act([column[0] for column in obs])
    assert alone.discrete.shape == (action.discrete_size,)
    assert (output.discrete < np.array(action.discrete_branches)).all()


@needs_reference
def test_the_earliest_models_take_sensors_apart_or_joined_and_draw_or_not():
    model = Model(REFERENCE / "SoccerTwos.onnx", seed=2)
    apart = [np.linspace(0, 1, 8 * 264).reshape(8, 264), np.linspace(1, 0, 8 * 72).reshape(8, 72)]
    sure = [model.act(obs, deterministic=True).discrete for obs in (apart, np.hstack(apart))]
    assert np.array_equal(*sure)
    draws = np.array([model.act(apart, np.tile([1, 1, 0], (8, 3))).discrete for _ in range(40)])
    assert draws.max() == 1 and len(np.unique(draws)) == 2
    with pytest.raises(UnityPolicyException, match=r"obs 0 has shape \(8, 264\); it takes \(336,\)"):
        model.act(apart[:1])


@needs_reference
def test_unitys_model_balances_the_ball():
    env, model, earned = make("3DBall", areas=4, seed=1), Model(REFERENCE / "3DBall.onnx"), 0.0
    env.reset()
    for _ in range(200):
        decision, _ = env.get_steps(env.behavior)
        env.set_actions(env.behavior, model.act(decision, deterministic=True).action)
        env.step()
        earned += env.get_steps(env.behavior)[0].reward.sum()
    assert earned > 4 * 19.5
