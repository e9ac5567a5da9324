"""Runs that learn from demonstrations alone: from the command, from Python, resumed, stopped, and begun with by PPO."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mlagents
from mlagents.errors import RunError
from mlagents.learn import main
from mlagents.run.callbacks import Callback
from mlagents.run.outcome import Ended
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.example import vector_sensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import everything, files, status, weights
from cloning import write

NETWORK = {"hidden_units": 20, "num_layers": 1}
CLONE = {
    "trainer_type": "bc",
    "hyperparameters": {"batch_size": 10, "learning_rate": 0.01, "held_out": 0.2},
    "network_settings": NETWORK,
    "demonstrations": {"sources": [{"file": "basic.demo"}]},
    "max_steps": 1000,
    "summary_freq": 250,
    "checkpoint_interval": 300,
    "keep_checkpoints": 2,
}


def walk(choice=2):
    """Return an episode of Basic from its middle to the large goal, in which a choice is made everywhere."""
    return [([np.eye(20)[10 + i]], [], [choice]) for i in range(7)]


@pytest.fixture(autouse=True)
def demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(Path("basic.demo"), Basic.SPEC, [walk() for _ in range(10)])


def change(behavior=CLONE, **keys):
    return {**behavior, **keys}


def learn(*flags, name="Basic", file=None, **keys):
    Path("bc.yaml").write_text(yaml.safe_dump(file or {"behaviors": {name: change(**keys)}}))
    return main(["bc.yaml", "--run-id", "run", "--seed", "1", *flags])


def curves(folder="results/run/Basic"):
    board = EventAccumulator(folder)
    board.Reload()
    return {tag: [(event.step, event.value) for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def states_equal(one, other):
    assert one.keys() == other.keys()
    for name, module in one.items():
        if isinstance(module, dict) and all(isinstance(value, torch.Tensor) for value in module.values()):
            assert all(torch.equal(tensor, other[name][key]) for key, tensor in module.items()), name
        else:
            assert str(module) == str(other[name]), name


def test_the_command_clones_without_an_environment_and_leaves_a_run_like_all_others(capsys):
    assert learn() == 0
    said = capsys.readouterr().out
    assert "Listening" not in said and "Editor" not in said
    assert "56 rows of 8 episodes are learned from, 14 rows of 2 are held out" in said
    assert "Basic. Step: 250. Time Elapsed: " in said and ". Held-Out Loss: " in said and "Mean Reward" not in said
    assert "Basic has taken its max_steps of 1,000.\nBasic: loss 0." in said
    assert "whose weights are kept, after 1,010 steps.\n  The model is results/run/Basic.onnx." in said
    events = next(Path("results/run/Basic").glob("events*")).name
    steps = ("900", "1010")  # of the checkpoints at 300, 600 and 900, and of the end
    numbered = [f"Basic/Basic-{step}.{kind}" for step in steps for kind in ("onnx", "pt")]
    assert files() == sorted(["Basic.onnx", "Basic/checkpoint.pt", f"Basic/{events}", *numbered, "configuration.yaml",
                              "run_logs/timers.json", "run_logs/training_status.json"])  # fmt: skip
    assert [entry["steps"] for entry in status()["Basic"]["checkpoints"]] == [900, 1010]
    assert status()["Basic"]["final_checkpoint"]["reward"] is None
    timers = json.loads(Path("results/run/run_logs/timers.json").read_text())
    assert "Basic.Losses.CloningLoss.mean" in timers["gauges"]
    assert yaml.safe_load(Path("results/run/configuration.yaml").read_text())["behaviors"]["Basic"]["trainer_type"] == "bc"


def test_every_number_has_its_curve():
    learn()
    found = curves()
    assert set(found) == {
        "Losses/Cloning Loss", "Losses/Held-Out Loss", "Imitation/Accuracy of Branch 0",
        "Imitation/Held-Out Accuracy of Branch 0", "Policy/Entropy", "Policy/Learning Rate",
    }  # fmt: skip
    assert [step for step, _ in found["Losses/Cloning Loss"]] == [250, 500, 750, 1000]
    losses = [value for _, value in found["Losses/Held-Out Loss"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.1
    assert found["Imitation/Held-Out Accuracy of Branch 0"][-1][1] == 1.0
    rates = [value for _, value in found["Policy/Learning Rate"]]
    assert rates[0] == pytest.approx(0.01 * (1 - 120 / 1000), rel=0.01) and rates == sorted(rates, reverse=True)


def test_each_behavior_learns_from_demonstrations_of_its_own(capsys):
    spec = BehaviorSpec([vector_sensor(2, "two")], ActionSpec(1, ()))
    rows = np.linspace(-1, 1, 40)
    write(Path("numbers.demo"), spec, [[([np.array([x, 1])], [0.5 * x], []) for x in rows[i::10]] for i in range(10)])
    numbers = change(demonstrations={"sources": [{"file": "numbers.demo"}]}, max_steps=4000)
    assert learn(file={"behaviors": {"Basic": CLONE, "Numbers": numbers}}) == 0
    said = capsys.readouterr().out
    assert "Basic has taken its max_steps of 1,000." in said and "Numbers has taken its max_steps of 4,000." in said
    assert {"Basic.onnx", "Numbers.onnx"} <= set(files())
    found = curves("results/run/Numbers")
    assert {"Imitation/Absolute Error", "Imitation/Held-Out Absolute Error", "Policy/Sigma"} <= found.keys()
    assert found["Imitation/Held-Out Absolute Error"][-1][1] < 0.1
    alone = weights("results/run/Basic/checkpoint.pt")
    learn("--force")
    states_equal(alone, weights())  # who learns beside it changes nothing


def test_demonstrations_of_several_places_are_learned_from_together(capsys):
    Path("more").mkdir()
    for name, episodes in (("one", 3), ("two", 4)):
        write(Path("more", f"{name}.demo"), Basic.SPEC, [walk() for _ in range(episodes)])
    sources = [{"file": "basic.demo", "align": "unity"}, {"file": "more"}, {"file": "more/t*.demo"}]
    assert learn(demonstrations={"sources": sources}, max_steps=50) == 0
    assert "119 rows of 17 episodes are learned from, 28 rows of 4 are held out" in capsys.readouterr().out


def test_a_behavior_may_take_its_settings_from_those_for_all():
    default = {key: value for key, value in CLONE.items() if key != "demonstrations"}
    own = {"demonstrations": CLONE["demonstrations"]}
    assert learn(file={"default_settings": default, "behaviors": {"Basic": own}}) == 0


@pytest.mark.parametrize("memory", [None, {"memory_size": 8, "sequence_length": 4}])
def test_a_run_that_was_stopped_and_resumed_is_one_that_never_stopped(memory):
    class Stop(Callback):
        def on_checkpoint(self, progress):
            return progress.step < 900

    config = {"behaviors": {"Basic": change(network_settings={**NETWORK, "normalize": True, "memory": memory})}}
    whole = mlagents.train(config, run_id="whole", seed=1)
    for number in range(3):
        part = mlagents.train(config, run_id="run", seed=1, resume=number > 0, callbacks=[Stop()])
        assert part.outcome.ended is (Ended.STOPPED if number < 2 else Ended.FINISHED)
    assert part.outcome.behaviors["Basic"].step == whole.outcome.behaviors["Basic"].step
    states_equal(weights("results/whole/Basic/checkpoint.pt"), weights())
    assert part.outcome.behaviors["Basic"].imitation == whole.outcome.behaviors["Basic"].imitation
    assert Path("results/whole/Basic.onnx").read_bytes() == Path("results/run/Basic.onnx").read_bytes()


def test_a_run_that_is_interrupted_saves(monkeypatch, capsys):
    from mlagents.run.session import Session

    run = Session.run

    def interrupted(session):
        tick, ticks = session.loop.tick, iter(range(20))
        monkeypatch.setattr(session.loop, "tick", lambda: (tick(), next(ticks) == 10 and session.stop()))
        return run(session)

    monkeypatch.setattr(Session, "run", interrupted)
    assert learn() == 0
    assert "Basic was stopped before its max_steps of 1,000; --resume goes on." in capsys.readouterr().out
    assert {"Basic.onnx", "Basic/Basic-110.onnx", "Basic/Basic-110.pt"} <= set(files())


def test_a_run_ends_early_where_patience_is_at_its_end_and_a_resume_has_nothing_to_do(capsys):
    rng = np.random.default_rng(0)
    write(Path("noise.demo"), Basic.SPEC, [walk(rng.integers(3)) for _ in range(20)])
    shown = {"sources": [{"file": "noise.demo"}]}
    keys = {"demonstrations": shown, "hyperparameters": {**CLONE["hyperparameters"], "patience": 2}, "max_steps": 100000}
    assert learn(**keys) == 0
    said = capsys.readouterr().out
    assert "Basic ended before its max_steps of 100,000: its held-out loss falls no more." in said
    before = weights()
    assert learn("--resume", **keys) == 0
    assert "Basic ended before its max_steps" in capsys.readouterr().out
    states_equal(before, weights())


def test_a_clone_is_played_in_an_environment_and_nothing_of_its_run_changes(capsys):
    learn()
    before = everything()
    assert learn("--inference", "--env", "builtin:Basic", "--episodes", "50") == 0
    assert float(re.search(r"mean reward (\S+) over", capsys.readouterr().out)[1]) > 0.92
    assert everything() == before


def test_an_environment_that_is_named_is_not_started(capsys):
    assert learn("--env", "builtin:Basic") == 0
    said = capsys.readouterr().out
    assert "builtin:Basic is not trained in: every behavior learns from demonstrations alone." in said
    assert learn("--env", "builtin:3DBall", "--force", name="3DBall") == 2
    assert "behaviors.3DBall.demonstrations: basic.demo does not fit this behavior" in capsys.readouterr().out


def test_ppo_begins_where_a_clone_ended(capsys):
    learn("--run-id", "clone", network_settings={**NETWORK, "normalize": True})
    ppo = {
        "trainer_type": "ppo", "hyperparameters": {"batch_size": 32, "buffer_size": 256, "learning_rate": 1e-10},
        "network_settings": {**NETWORK, "normalize": True}, "max_steps": 3000, "summary_freq": 1000,
    }  # fmt: skip
    flags = ("--env", "builtin:Basic", "--run-id", "next", "--initialize-from", "clone")
    assert learn(*flags, file={"behaviors": {"Basic": ppo}}) == 0
    said = capsys.readouterr().out
    assert "these begin anew: Optimizer:critic." in said and "Policy." not in said
    states = [weights(f"results/{run}/Basic/checkpoint.pt") for run in ("clone", "next")]
    clone, after = (state["Policy"] for state in states)
    assert torch.allclose(after["head.weight"], clone["head.weight"], atol=1e-6)
    steps = "body.normalizer.normalization_steps"
    taken = int(states[1]["global_step"]["_GlobalSteps__global_step"])
    assert after[steps] == clone[steps] + taken  # it goes on with the scales of the demonstrations
    rewards = [value for _, value in curves("results/next/Basic")["Environment/Cumulative Reward"]]
    assert min(rewards) > 0.9  # from the first episode on; who begins anew earns about -1 there


def test_a_clone_begins_where_ppo_or_another_clone_ended(capsys):
    learn("--run-id", "first")
    fast = {**CLONE["hyperparameters"], "learning_rate": 1e-10}
    assert learn("--run-id", "next", "--initialize-from", "first", hyperparameters=fast) == 0
    assert "begin anew" not in capsys.readouterr().out
    one, other = (weights(f"results/{run}/Basic/checkpoint.pt") for run in ("first", "next"))
    for module in ("Policy", "Learner"):
        assert torch.allclose(one["Policy"]["head.weight"], other[module]["head.weight"], atol=1e-6)
    assert int(other["global_step"]["_GlobalSteps__global_step"]) == 1010
    wide = {"hidden_units": 20, "num_layers": 2}
    assert learn("--run-id", "wide", "--initialize-from", "first", network_settings=wide, max_steps=50) == 0
    said = capsys.readouterr().out
    assert "fits in 5 tensors; these begin anew: Policy.body.layers.1" in said and "Learner" not in said
    ppo = {"trainer_type": "ppo", "hyperparameters": {"buffer_size": 64, "batch_size": 32}, "max_steps": 100}
    file = {"behaviors": {"Basic": {**ppo, "network_settings": NETWORK}}}
    assert learn("--env", "builtin:Basic", "--run-id", "ppo", file=file) == 0
    assert learn("--run-id", "last", "--initialize-from", "ppo", hyperparameters=fast, max_steps=50) == 0
    one, other = (weights(f"results/{run}/Basic/checkpoint.pt") for run in ("ppo", "last"))
    for module in ("Policy", "Learner"):
        assert torch.allclose(one["Policy"]["head.weight"], other[module]["head.weight"], atol=1e-6)
    assert "begin anew" not in capsys.readouterr().out


def test_from_python_it_takes_no_environment_and_is_evaluated_where_there_is_one(tmp_path):
    config = {"behaviors": {"Basic": CLONE}}
    result = mlagents.train(config, results_dir=None, seed=1)
    assert result.outcome.ended is Ended.FINISHED and result.outcome.folder.name.startswith("Basic-")
    fit = result.outcome.behaviors["Basic"].imitation
    assert fit.held_out_loss < fit.loss + 0.1 < 0.3 and 0 < fit.held_out_step <= 1010
    assert result.model.act(np.eye(20, dtype=np.float32)[9:12]).discrete[:, 0].tolist() == [2, 2, 2]
    assert len(result.metrics["Losses/Held-Out Loss"]) == 4
    with pytest.raises(RunError, match="the run had no environment to play in: train with env"):
        result.evaluate(5)
    played = mlagents.train(config, "Basic", results_dir=None, seed=1)
    assert played.evaluate(20, deterministic=True)["Basic"].mean_return == pytest.approx(0.93, abs=0.01)
    result.save(tmp_path / "clone.pt")
    assert (tmp_path / "clone.pt").is_file()


def test_learning_that_goes_to_infinity_is_told_with_the_way_out(capsys):
    assert learn(hyperparameters={"batch_size": 10, "learning_rate": 1e30}) == 2
    said = capsys.readouterr().out
    assert "Basic: learning went to infinity at step" in said and "Try a smaller learning_rate, or norm" in said
    assert "rewards" not in said.split("went to infinity")[1]


REFUSED = {
    "no demonstrations": ({"demonstrations": None}, ["behaviors.Basic.demonstrations: is missing: 'bc' learns from"]),
    "a growing file": (
        {"demonstrations": {"sources": [{"live": "basic.demo"}]}},
        ["behaviors.Basic.demonstrations.sources.0.live in bc.yaml:", "'bc' learns from whole files: write file"],
    ),
    "other ways to learn": (
        {"behavioral_cloning": {"demo_path": "basic.demo"}, "self_play": {}, "reward_signals": {"rnd": {}}},
        ["behaviors.Basic.behavioral_cloning in bc.yaml:", "behaviors.Basic.self_play in bc.yaml:",
         "behaviors.Basic.reward_signals.rnd in bc.yaml:", "leave it away beside 'bc', which learns from demonst"],
    ),
    "no such file": (
        {"demonstrations": {"sources": [{"file": "gone.demo"}]}},
        ["behaviors.Basic.demonstrations: there is no demonstration gone.demo"],
    ),
    "an empty folder": (
        {"demonstrations": {"sources": [{"file": "empty"}]}},
        ["behaviors.Basic.demonstrations: the folder empty holds no .demo file"],
    ),
    "patience with nothing held out": (
        {"hyperparameters": {"held_out": 0, "patience": 3}},
        ["behaviors.Basic.hyperparameters: patience looks at the held-out loss: it needs held_out above 0"],
    ),
    "numbers out of range": (
        {"hyperparameters": {"held_out": 1, "min_sigma": 0, "weight_decay": -1, "patience": -1, "buffer_size": 3}},
        ["held_out: is 1; must be at most 0.9", "min_sigma: is 0; must be more than 0",
         "weight_decay: is -1; must be at least 0", "patience: is -1; must be at least 0", "buffer_size: unknown key"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_cloned_is_refused_before_torch_is_loaded(case, capsys, monkeypatch):
    Path("empty").mkdir()
    monkeypatch.setattr("mlagents.learn._train", lambda options: pytest.fail("it began"))
    keys, sentences = REFUSED[case]
    assert learn(**keys) == 2
    said = capsys.readouterr().err
    assert [sentence for sentence in sentences if sentence not in said] == []
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("file", "flags", "sentence"),
    [
        ({"behaviors": {"Basic": CLONE, "Other": {"trainer_type": "ppo"}}}, (),
         "behaviors.Basic.trainer_type in bc.yaml:17: is 'bc', which learns from demonstrations alone, but Other needs an"),
        ({"default_settings": CLONE}, (), "so no environment names behaviors: write their names below behaviors"),
        ({"default_settings": CLONE, "behaviors": {"Other": {"trainer_type": "ppo", "hyperparameters": None,
          "demonstrations": None}}}, (), "so no environment names behaviors"),
        ({"behaviors": {"Basic": CLONE}}, ("--inference",), "--inference: there is no environment to play in"),
    ],
    ids=["another trainer beside it", "no names", "no names of its own", "inference"],
)  # fmt: skip
def test_a_run_that_is_no_run_without_an_environment_is_refused(file, flags, sentence, capsys):
    assert learn(*flags, file=file) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("how", ["damaged", "of other agents"])
def test_a_file_that_cannot_be_used_is_named_with_its_behavior(how, demo, capsys):
    if how == "damaged":
        Path("other.demo").write_bytes(demo.read_bytes()[:200])
        words = "behaviors.Basic.demonstrations: other.demo ends too early"
    else:
        spec = BehaviorSpec([vector_sensor(2, "two")], ActionSpec(1, ()))
        write(Path("other.demo"), spec, [[([np.zeros(2)], [0.0], [])]])
        words = "behaviors.Basic.demonstrations: other.demo does not fit this behavior: sensor 0"
    sources = [{"file": "basic.demo"}, {"file": "other.demo"}]
    for order in (sources, sources[::-1]) if how == "damaged" else (sources,):
        assert learn(demonstrations={"sources": order}) == 2
        assert words in capsys.readouterr().out
        assert not Path("results").exists()


def test_settings_without_effect_are_told(capsys):
    keys = {"time_horizon": 5, "threaded": True, "reward_signals": {"extrinsic": {"gamma": 0.9}}, "max_steps": 50}
    shown = {**CLONE["demonstrations"], "ratio": 0.3, "bc_init_steps": 5}
    assert learn(demonstrations=shown, **keys) == 0
    said = capsys.readouterr().err
    for key in ("time_horizon", "threaded", "reward_signals", "demonstrations.ratio", "demonstrations.bc_init_steps"):
        assert f"behaviors.Basic.{key}: has no effect with 'bc', which learns from demonstrations alone" in said
    assert main(["results/run/configuration.yaml", "--run-id", "again"]) == 0
    settings = yaml.safe_load(Path("results/run/configuration.yaml").read_text())["behaviors"]["Basic"]
    learn("--force", max_steps=50)
    capsys.readouterr()
    assert main(["results/run/configuration.yaml", "--run-id", "last"]) == 0
    assert "has no effect" not in capsys.readouterr().err and math.isclose(settings["demonstrations"]["ratio"], 0.3)
