import os
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import ExampleEnv, vector_sensor
from mlagents_envs.examples.policy import ModelPolicy
from mlagents_envs.exception import UnityPolicyException
from mlagents_envs.model import most_probable
from mlagents_envs.watch.play import Play

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
HYBRID = BehaviorSpec([vector_sensor(2, "sensor")], ActionSpec.create_hybrid(1, (3,)))
SEEING_TWO = BehaviorSpec([vector_sensor(2, "sensor")], ActionSpec.create_continuous(2))


def asked(*agents, obs=None, ended=None):
    """Return the decision steps of these agents. ended: whose episode ended after they asked."""
    n, nothing = len(agents), np.zeros(len(agents), np.float32)
    return DecisionSteps(
        [np.zeros((n, 2), np.float32)] if obs is None else [np.array(column, np.float32) for column in obs],
        nothing, np.array(agents, np.int32), None, np.zeros(n, np.int32), nothing,
        None if ended is None else np.array(ended),
    )  # fmt: skip


def ended(*agents):
    n, nothing = len(agents), np.zeros(len(agents), np.float32)
    return TerminalSteps(
        [np.zeros((n, 2), np.float32)], nothing, np.zeros(n, bool), np.array(agents, np.int32), np.zeros(n, np.int32),
        nothing,
    )  # fmt: skip


def graph(inputs, outputs, nodes, constants=None, kind=None):
    value, f32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, into, out, **how) for kind, into, out, how in nodes], "model",
        [value(name, f32, shape) for name, shape in inputs.items()],
        [value(name, kind or f32, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def counting(tmp_path):
    """A model of 3DBall's actions that says how often it was asked, by its memory, from 2 numbers."""
    model = graph(
        {"obs_0": ["batch", 2], "recurrent_in": ["batch", 1, 4]},
        {"continuous_action_output_shape": [1], "continuous_actions": ["batch", 2], "recurrent_out": ["batch", 1, 4]},
        [
            ("Add", ["recurrent_in", "tenth"], ["recurrent_out"], {}),
            ("Slice", ["recurrent_out", "zero", "two", "last"], ["part"], {}),
            ("Squeeze", ["part", "middle"], ["counted"], {}),
            ("Mul", ["obs_0", "nothing"], ["silent"], {}),
            ("Add", ["counted", "silent"], ["continuous_actions"], {}),
            ("Identity", ["size"], ["continuous_action_output_shape"], {}),
        ],
        {"tenth": [0.1], "nothing": [0.0], "size": [2]},
    )
    for name, number in (("zero", 0), ("two", 2), ("last", 2), ("middle", 1)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([number], np.int64), name))
    onnx.save(model, tmp_path / "counting.onnx")
    return tmp_path / "counting.onnx"


def test_the_most_probable_is_taken_in_each_branch():
    log_probs = np.array([[-1.0, -0.5, -3.0, -0.1], [-0.1, -2.0, -1.0, -4.0]])
    assert most_probable(log_probs, [2, 2]).tolist() == [[1, 1], [0, 0]]


def test_deterministic_actions_are_taken_where_a_model_offers_them_and_samples_elsewhere(tmp_path):
    for offered, taken in ((("discrete_actions", "deterministic_discrete_actions"), 2), (("discrete_actions",), 1)):
        nodes = [("Cast", [f"obs_{i}"], [name], {"to": onnx.TensorProto.INT64}) for i, name in enumerate(offered)]
        inputs = {f"obs_{i}": ["batch", 1] for i in range(len(offered))}
        model = graph(inputs, dict.fromkeys(offered), nodes, kind=onnx.TensorProto.INT64)
        sizes = onnx.helper.make_tensor_value_info("discrete_action_output_shape", onnx.TensorProto.FLOAT, [1, 1])
        model.graph.output.append(sizes)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([[3]], np.float32), "sizes"))
        model.graph.node.append(onnx.helper.make_node("Identity", ["sizes"], ["discrete_action_output_shape"]))
        onnx.save(model, tmp_path / "model.onnx")
        spec = BehaviorSpec([vector_sensor(1, name) for name in inputs], ActionSpec.create_discrete((3,)))
        player = ModelPolicy(tmp_path / "model.onnx", spec, behavior="B")
        action = player(asked(0, obs=[[[1]], [[2]]][: len(inputs)]), ended())
        assert action.discrete.tolist() == [[taken]]


def test_an_early_model_takes_joined_observations_and_lacks_outputs_that_it_promises(tmp_path):
    model = graph(
        {"vector_observation": ["batch", 4], "action_masks": ["batch", 4]},
        dict.fromkeys(("discrete_actions", "discrete_action_output_shape", "is_continuous_control")),
        [
            ("Identity", ["vector_observation"], ["discrete_actions"], {}),
            ("Identity", ["sizes"], ["discrete_action_output_shape"], {}),
        ],
        {"sizes": [[2, 2]]},
    )
    onnx.save(model, tmp_path / "early.onnx")
    spec = BehaviorSpec([vector_sensor(3, "a"), vector_sensor(1, "b")], ActionSpec.create_discrete((2, 2)))
    action = ModelPolicy(tmp_path / "early.onnx", spec, behavior="B")(asked(0, obs=[[[0, 1, 2]], [[1]]]), ended())
    assert action.discrete.tolist() == [[1, 0]]


def counts(model, decision, terminal):
    """Return how often the model remembers to have been asked, for each agent that asks."""
    return np.rint(model(decision, terminal).continuous[:, 0] * 10).astype(int).tolist()


@pytest.fixture
def model(counting):
    return ModelPolicy(counting, SEEING_TWO, behavior="builtin:Counting")


def test_each_agent_keeps_its_own_memory(model):
    assert counts(model, asked(0, 1), ended()) == [1, 1]
    assert counts(model, asked(2, 1), ended()) == [1, 2]
    assert counts(model, asked(0, 1, 2), ended()) == [2, 3, 2]  # 0 was silent for a while


def test_a_new_episode_of_the_same_agent_begins_without_memory(model):
    assert counts(model, asked(0, 1), ended()) == [1, 1]
    assert counts(model, asked(0, 1), ended(0)) == [1, 2]
    assert counts(model, asked(0, 1), ended()) == [2, 3]
    assert counts(model, asked(), ended(1, 0)) == []  # the ends come before the questions
    assert counts(model, asked(0, 1), ended()) == [1, 1]


def test_ends_of_agents_that_were_never_asked_are_taken(model):
    assert counts(model, asked(0), ended(5)) == [1]
    assert counts(model, asked(0, 5), ended()) == [2, 1]


def test_an_agent_that_ends_after_asking_forgets_in_between(model):
    assert counts(model, asked(0, 1), ended()) == [1, 1]
    assert counts(model, asked(0, 1), ended())[1] == 2
    assert counts(model, asked(0, 1, ended=[True, False]), ended(0)) == [3, 3]
    assert counts(model, asked(0, 1), ended()) == [1, 4]
    assert counts(model, asked(0, 1, ended=[True, False]), ended(0, 0)) == [1, 5]  # it had begun again in between
    assert counts(model, asked(0, 1), ended()) == [1, 6]


def test_after_a_reset_nobody_remembers(model):
    assert counts(model, asked(0, 1), ended()) == [1, 1]
    model.reset()
    assert counts(model, asked(0, 1), ended()) == [1, 1]


class Short(ExampleEnv):
    """The episodes of row k end with every (k + 2)-th decision. Agents see nothing; `actions` keeps what they do."""

    NAME = "Short"
    AREAS = 3
    SPEC = SEEING_TWO

    def _begin(self):
        self.actions, self._age = [], np.zeros(self.n, int)
        return [np.zeros((self.n, 2), np.float32)]

    def _decide(self, action):
        self.actions.append(np.rint(action.continuous[:, 0] * 10).astype(int).tolist())
        self._age += 1
        done = self._age == np.arange(self.n) + 2
        self._age[done] = 0
        nothing = [np.zeros((self.n, 2), np.float32)]
        return nothing, np.zeros(self.n, np.float32), done, np.zeros(self.n, bool), nothing


@pytest.mark.parametrize("renew_ids", [False, True])
def test_memory_does_not_cross_an_episode_of_a_scene(model, renew_ids):
    env = Short(renew_ids=renew_ids)
    for _ in range(2):  # the same model may play again
        play = Play(env, {env.behavior: model})
        for _ in range(7):
            play.decide()
        assert env.actions == [[1, 1, 1], [2, 2, 2], [1, 3, 3], [2, 1, 4], [1, 2, 1], [2, 3, 2], [1, 1, 3]]


def test_actions_stay_within_one_as_in_unity(model):
    for _ in range(12):
        action = model(asked(1), ended())
    assert isinstance(action, ActionTuple) and action.continuous.max() == 1.0


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            BehaviorSpec([vector_sensor(3, "eyes")], ActionSpec.create_continuous(2)),
            r"its obs_0 has shape \(2,\), and 'eyes' has \(3,\)",
        ),
        (
            BehaviorSpec([vector_sensor(2, "a")] * 2, ActionSpec.create_continuous(2)),
            "it takes 1 observations, and there are 2",
        ),
        (
            BehaviorSpec([vector_sensor(2, "a")], ActionSpec.create_continuous(3)),
            r"its continuous actions are \(2,\), and the behavior's \(3,\)",
        ),
        (
            BehaviorSpec([vector_sensor(2, "a")], ActionSpec.create_hybrid(2, (3,))),
            r"its discrete actions are none, and the behavior's \(3,\)",
        ),
    ],
)
def test_a_model_that_does_not_fit_says_where(counting, spec, why):
    with pytest.raises(
        UnityPolicyException, match=f"counting.onnx does not fit builtin:Some: {why}; it was trained for another$"
    ):
        ModelPolicy(counting, spec, behavior="builtin:Some")


def test_a_model_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(
        UnityPolicyException, match=r"no\.onnx: there is no such model; give an \.onnx file that a run has written$"
    ):
        ModelPolicy(tmp_path / "no.onnx", HYBRID, behavior="builtin:Some")


def test_a_file_that_is_no_model_is_a_sentence(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UnityPolicyException, match=r"text\.onnx: it is no model that onnxruntime can read \(.+\)$"):
        ModelPolicy(tmp_path / "text.onnx", HYBRID, behavior="builtin:Some")


@pytest.mark.parametrize("name", ["3DBall", "Basic", "PushBlock", "SoccerTwos"])
def test_unitys_models_play(name):
    file = REFERENCE / "onnx" / f"{name}.onnx"
    if not file.exists():
        pytest.skip("Unity's models are not here")
    env = make(name, areas=2)
    env.reset()
    model = ModelPolicy(file, env.SPEC, behavior=name)
    env.set_actions(env.behavior, model(*env.get_steps(env.behavior)))
