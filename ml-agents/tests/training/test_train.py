"""`mlagents.train`: what it takes, what it gives back, and how its mistakes read."""

import inspect
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import mlagents
from mlagents.errors import ResultsError, RunError
from mlagents.learn import main
from mlagents.run.outcome import Ended
from mlagents.settings.mistakes import SettingsError
from mlagents.training import environment as environments
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityException

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import BASIC

CONFIG = yaml.safe_load(BASIC.replace("MAX", "600"))
REWARD = "Environment/Cumulative Reward"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(config=CONFIG, env="Basic", **options):
    return mlagents.train(config, env, **{"seed": 1, "results_dir": None, **options})


@pytest.fixture(scope="module")
def result():
    """One short run, for tests that only look."""
    return mlagents.train(CONFIG, "Basic", seed=1, results_dir=None)


def make_basic():
    return make("Basic", seed=5)


def make_numbered(number):
    return make("Basic", seed=number)


@pytest.mark.parametrize("how", ["dict", "file", "path"])
def test_a_config_is_a_dict_or_a_file_and_stays_as_it_was(how):
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    if how != "dict":
        Path("basic.yaml").write_text(yaml.safe_dump(CONFIG))
        config = "basic.yaml" if how == "file" else Path("basic.yaml")
    assert train(config).outcome.ended is Ended.FINISHED
    assert how != "dict" or config == CONFIG


@pytest.mark.parametrize(
    "env", ["Basic", "builtin:Basic", make("Basic", seed=5), make_basic, make_numbered, partial(make, "Basic")],
    ids=["name", "with its kind", "environment", "function", "function of a number", "partial"],
)  # fmt: skip
def test_an_environment_is_a_name_an_object_or_a_function(env):
    assert train(env=env).outcome.behaviors["Basic"].step > 600


def test_several_environments_of_a_function_run_in_processes_of_their_own():
    assert train(env=make_numbered, num_envs=2).outcome.behaviors["Basic"].step > 600


def test_an_environment_of_the_caller_stays_open_and_one_that_was_made_is_closed(monkeypatch):
    closed = []
    monkeypatch.setattr("mlagents_envs.examples.example.ExampleEnv.close", lambda self: closed.append(self))
    mine = make_basic()
    train(env=mine)
    assert closed == []
    train(env=make_basic)
    assert len(closed) == 1 and closed[0] is not mine


def test_the_result_has_policy_model_and_curves(result):
    assert isinstance(result.policy, torch.nn.Module) and result.policies == {"Basic": result.policy}
    seen = np.eye(20, dtype=np.float32)[:3]
    assert result.model.act(seen).discrete.shape == (3, 1)
    assert result.metrics["step"].tolist() == [200, 400, 600]
    assert result.metrics["behavior"].tolist() == ["Basic"] * 3
    rewards = result.metrics[REWARD]
    assert rewards.dtype == np.float64 and len(rewards) == 3 and np.isfinite(rewards).all()
    assert np.isnan(result.metrics["Losses/Policy Loss"][0])  # no update before the first summary
    assert len(result.metrics.of("Basic")["step"]) == 3 and len(result.metrics.of("Other")["step"]) == 0
    with pytest.raises(KeyError, match=f"did you mean '{REWARD}'"):
        result.metrics["Environment/Cumulative Rewrd"]
    assert "finished: Basic: " in repr(result)


def test_curves_become_a_frame_where_pandas_is(result):
    pandas = pytest.importorskip("pandas")
    frame = result.metrics.frame()
    assert isinstance(frame, pandas.DataFrame) and list(frame)[:2] == ["behavior", "step"] and len(frame) == 3


def test_without_pandas_the_way_out_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.metrics.frame()


def test_an_evaluation_plays_so_many_episodes_and_changes_nothing(result):
    weights = {name: tensor.clone() for name, tensor in result.policy.state_dict().items()}
    drawn = result.policy.generator.get_state()
    score = result.evaluate(20, deterministic=False)["Basic"]
    assert score.returns.shape == score.lengths.shape == (20,)
    assert score.mean_return == pytest.approx(score.returns.mean()) and score.std_return > 0
    assert (score.lengths > 0).all()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in result.policy.state_dict().items())
    assert torch.equal(drawn, result.policy.generator.get_state())
    assert score.returns.tolist() == result.evaluate(20, deterministic=False)["Basic"].returns.tolist()


def test_episodes_that_never_end_are_cut(result):
    with torch.no_grad():
        before = result.policy.head.bias.clone()
        result.policy.head.bias.copy_(torch.tensor([99.0, 0.0, 0.0]))  # always stay
    score = result.evaluate(3, max_length=50)["Basic"]
    assert score.lengths.tolist() == [50] * 3 and score.cut.all()
    with torch.no_grad():
        result.policy.head.bias.copy_(before)


def test_a_function_makes_another_environment_for_the_evaluation():
    made = []

    def numbered(number):
        made.append(number)
        return make("Basic", seed=number)

    train(env=numbered).evaluate(3)
    assert made == [0, 1]


def test_policies_are_saved_as_models_and_as_checkpoints_that_a_run_can_begin_with(result):
    result.save("all")
    assert sorted(os.listdir("all")) == ["Basic.onnx", "Basic.pt"]
    result.save("one.onnx")
    result.save(Path("one.pt"))
    assert Path("one.onnx").read_bytes() == Path("all/Basic.onnx").read_bytes()
    config = {"behaviors": {"Basic": {**CONFIG["behaviors"]["Basic"], "init_path": "./one.pt", "max_steps": 1}}}
    begun = train(config)
    assert torch.equal(begun.policy.head.weight, result.policy.head.weight)


class Watch(mlagents.Callback):
    def __init__(self):
        self.seen = {"summary": [], "checkpoint": [], "episode": []}

    def on_summary(self, progress):
        self.seen["summary"].append(progress)

    def on_checkpoint(self, progress):
        self.seen["checkpoint"].append(progress)

    def on_episode(self, progress):
        self.seen["episode"].append(progress)


def test_callbacks_see_every_summary_checkpoint_and_episode():
    watch, points = Watch(), []
    result = train(results_dir="results", run_id="mine", callbacks=[watch, points.append])
    assert points == watch.seen["summary"]
    assert [point.metrics[REWARD] for point in points] == result.metrics[REWARD].tolist()
    checkpoints = watch.seen["checkpoint"]
    assert [checkpoint.step // 300 for checkpoint in checkpoints] == [1, 2, 2]  # one at each interval, and the last
    assert all(path.parent == Path("results/mine/Basic") for c in checkpoints for path in (c.weights, c.model))
    assert checkpoints[-1].weights.is_file() and checkpoints[-1].model.is_file()
    episodes = watch.seen["episode"]
    assert len(episodes) == result.outcome.behaviors["Basic"].episodes
    assert np.mean([each.total for each in episodes]) == pytest.approx(result.outcome.behaviors["Basic"].mean_return)
    assert {each.behavior for each in episodes} == {"Basic"} and episodes[-1].max_steps == 600


@pytest.mark.parametrize("method", ["on_summary", "on_checkpoint", "on_episode"])
def test_a_callback_ends_the_run_by_returning_true(method):
    class Stop(mlagents.Callback):
        pass

    setattr(Stop, method, lambda self, progress: True)
    config = {"behaviors": {"Basic": {**CONFIG["behaviors"]["Basic"], "max_steps": 10**6}}}
    result = train(config, callbacks=[Stop()])
    assert result.outcome.ended is Ended.STOPPED
    assert result.outcome.behaviors["Basic"].step < 1000


MISTAKES = {
    "config": (lambda: train({"behaviors": {"Basic": {"max_stepss": 3, "trainer_type": "ppo"}}}), SettingsError,
               "config: behaviors.Basic.max_stepss: unknown key, did you mean 'max_steps'?"),
    "file": (lambda: train("none.yaml"), SettingsError, "none.yaml"),
    "number": (lambda: train(num_areas=0), SettingsError, "--num-areas: is 0; must be at least 1"),
    "example": (lambda: train(env="builtin:Basik"), RunError, "did you mean 'Basic'?"),
    "build": (lambda: train(env="builds/none"), RunError, "builds/none"),
    "behavior": (lambda: train({"behaviors": {"Other": CONFIG["behaviors"]["Basic"]}}), RunError,
                 "the environment has a behavior 'Basic', but the file only has Other"),
    "one environment": (lambda: train(env=make("Basic"), num_envs=2), RunError, "there is one Basic; give a function"),
    "lambda": (lambda: train(env=lambda: make("Basic"), num_envs=2), RunError, "define it at the top of a module"),
    "sac": (lambda: train({"behaviors": {"Basic": {"trainer_type": "nonesuch"}}}), SettingsError, "nonesuch"),
    "both": (lambda: train(resume=True, force=True), RunError, "give one of them"),
    "resume": (lambda: train(results_dir="results", run_id="x", resume=True), ResultsError, "nothing to resume"),
    "env": (lambda: train(env=3), TypeError, "env is 3; it must be a name, a path, a BaseEnv, or a function"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_raised_with_the_sentence_of_the_command_and_writes_nothing(mistake):
    call, kind, sentence = MISTAKES[mistake]
    with pytest.raises(kind, match=re.escape(sentence)):
        call()
    assert os.listdir() == []


def test_an_environment_that_fails_is_raised_after_everything_was_saved():
    env = make_basic()
    step, calls = env.step, iter(range(1000))

    def fail():
        if next(calls) == 400:
            raise UnityException("the environment broke")
        step()

    env.step = fail
    with pytest.raises(UnityException, match="the environment broke"):
        train({"behaviors": {"Basic": {**CONFIG["behaviors"]["Basic"], "max_steps": 10**6}}}, env,
              results_dir="results", run_id="mine")  # fmt: skip
    assert Path("results/mine/Basic/checkpoint.pt").is_file()


def test_a_run_without_a_name_gets_a_new_one_and_a_given_one_is_obeyed():
    folders = [train(results_dir="results").outcome.folder.name for _ in range(2)]
    assert len(set(folders)) == 2 and all(re.fullmatch(r"Basic-\d{8}-\d{6}(-2)?", name) for name in folders)
    assert train(results_dir="other", run_id="mine").outcome.folder == Path("other/mine")
    config = {**CONFIG, "checkpoint_settings": {"run_id": "theirs"}}
    assert train(config, results_dir=Path("other")).outcome.folder == Path("other/theirs")


def test_without_a_folder_files_go_when_the_result_does():
    result = train()
    folder = result.outcome.folder
    assert folder.is_dir() and os.listdir() == []
    del result
    assert not folder.parent.exists()


def test_a_run_goes_on_where_it_stood():
    train(results_dir="results", run_id="mine")
    config = {"behaviors": {"Basic": {**CONFIG["behaviors"]["Basic"], "max_steps": 900}}}
    assert train(config, results_dir="results", run_id="mine", resume=True).outcome.behaviors["Basic"].step > 900


def test_five_seeds_in_a_loop_equal_five_runs_of_the_command():
    Path("basic.yaml").write_text(BASIC.replace("MAX", "600"))
    seen = set()
    for seed in range(1, 6):
        flags = ["--env", "builtin:Basic", "--seed", str(seed), "--run-id", f"seed-{seed}"]
        assert main(["basic.yaml", *flags]) == 0
        state = torch.load(f"results/seed-{seed}/Basic/checkpoint.pt", weights_only=True)["Policy"]
        mine = train("basic.yaml", seed=seed).policy.state_dict()
        assert all(torch.equal(state[name], mine[name]) for name in state)
        seen.add(float(state["head.weight"].sum()))
    assert len(seen) == 5


def test_importing_it_loads_torch_only_when_it_is_called_for():
    program = "import mlagents, sys; a = 'torch' in sys.modules; mlagents.train; print(a, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False True\n"


def test_a_function_written_in_c_is_called_without_a_number():
    assert environments.resolve(dict)[1](3) == {}


def test_every_argument_is_on_the_page():
    page = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
    missing = [name for name in inspect.signature(mlagents.train).parameters if f"`{name}`" not in page]
    assert not missing
