"""`mlagents-doctor` as a user types it, and its checks on worlds with one thing wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mlagents
import mlagents_envs
from mlagents.doctor import command as doctor
from mlagents.doctor import env_check as tryout
from mlagents.doctor import machine as health
from mlagents.doctor.command import main
from mlagents.doctor.env_check import check_behaviors, check_build, check_environment, check_run, remarks
from mlagents.doctor.machine import Level, attempt, check_shadowing, check_torch
from mlagents.settings.reading import load
from mlagents_envs import compiled
from mlagents_envs.base_env import ActionSpec, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples import catalog
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import UnityTimeOutException
from mlagents_envs.player.executable import make_executable

posix = pytest.mark.skipif(os.name == "nt", reason="scripts are players by their first line")
SPEC = BehaviorSpec([vector_sensor(2, "eyes")], ActionSpec.create_discrete((3,)))


class OneAgent(BaseEnv):
    """One agent that asks at every step, and what a test changes about it."""

    def __init__(
        self, *, spec=SPEC, asks=True, ends=False, keeps_id=False, value=0.0, mask=None, error=None,
        behaviors=("Walker?team=0",),
    ):  # fmt: skip
        self.spec, self.asks, self.ends, self.value, self.mask, self.error = spec, asks, ends, value, mask, error
        self.keeps_id = keeps_id  # or it ends under another one each time, as agents do that never ask
        self.behavior_specs_ = dict.fromkeys(behaviors, spec)
        self.actions = []
        self.steps = 0

    @property
    def behavior_specs(self):
        return self.behavior_specs_

    def reset(self):
        pass

    def step(self):
        self.steps += 1
        if self.error is not None and self.steps == 3:
            raise self.error

    def close(self):
        pass

    def set_actions(self, behavior_name, action):
        self.actions.append(action)

    def set_action_for_agent(self, behavior_name, agent_id, action):
        raise NotImplementedError

    def get_steps(self, behavior_name):
        column = [np.full((1, *sensor.shape), self.value, np.float32) for sensor in self.spec.observation_specs]
        number, nobody = np.zeros(1, np.float32), np.zeros(1, np.int32)
        decision, terminal = DecisionSteps.empty(self.spec), TerminalSteps.empty(self.spec)
        if self.asks:
            decision = DecisionSteps(column, number, nobody, self.mask, nobody, number)
        if self.ends:
            born = np.array([0 if self.keeps_id else self.steps], np.int32)
            terminal = TerminalSteps(column, number, np.zeros(1, bool), born, nobody, number)
        return decision, terminal


def texts(findings, level):
    return "\n".join(finding.text for finding in findings if finding.level is level)


# environments


def test_a_sound_environment_is_described():
    found = check_environment(catalog.make("3DBall", areas=2))
    assert {finding.level for finding in found} == {Level.OK}
    said = texts(found, Level.OK)
    assert "3DBall?team=0: sees 'VectorSensor_size8' (8,) DEFAULT; does Continuous: 2, Discrete: ()" in said
    assert "episodes asked for an action" in said
    assert "50 steps at" in said
    assert "with 2.0 decisions each" in said


@pytest.mark.parametrize(
    ("wrong", "level", "words"),
    [
        ({"asks": False, "ends": True}, Level.PROBLEM, "Decision Requester"),
        ({"asks": False}, Level.PROBLEM, "agents of 0 episodes asked"),
        ({"ends": True}, Level.WARNING, "and 51 episodes ended, in 50 steps; in 51 of these no agent asked"),
        ({"ends": True, "keeps_id": True}, Level.WARNING, "agents of 51 episodes asked for an action and 51 episodes"),
        ({"ends": True, "keeps_id": True}, Level.WARNING, "in 1 of these no agent asked"),  # that at the reset
        ({"value": np.nan}, Level.PROBLEM, "sensor eyes has values that are NaN"),
        ({"spec": SPEC._replace(observation_specs=[])}, Level.PROBLEM, "agents see nothing"),
        ({"spec": SPEC._replace(action_spec=ActionSpec(0, ()))}, Level.PROBLEM, "agents can do nothing"),
        ({"behaviors": ()}, Level.PROBLEM, "no behavior appeared after the reset"),
        ({"error": UnityTimeOutException("It hangs.")}, Level.PROBLEM, "It hangs."),
        ({"error": RuntimeError("observations had NaN values.")}, Level.PROBLEM, "NaN"),
    ],
)
def test_what_is_wrong_with_agents_is_found(wrong, level, words):
    assert words in texts(check_environment(OneAgent(**wrong)), level)


def test_episodes_are_counted_alike_whether_agents_keep_their_ids_or_not():
    kept, renewed = (
        next(text for text in texts(check_environment(env), Level.OK).splitlines() if "episodes asked" in text)
        for env in (catalog.make("3DBall", areas=9, seed=1, renew_ids=renew_ids) for renew_ids in (False, True))
    )
    assert kept == renewed
    asked, ended = (int(kept.split(words)[0].split()[-1]) for words in (" episodes asked", " episodes ended"))
    assert asked == ended + 9 > 18


def test_what_was_heard_before_an_error_is_still_told():
    found = check_environment(OneAgent(error=UnityTimeOutException("It hangs.")))
    assert "in 2 steps" in texts(found, Level.OK)


def test_agents_only_do_what_their_mask_allows():
    env = OneAgent(mask=[np.array([[True, False, True]])])
    check_environment(env, steps=20)
    assert {int(action.discrete[0, 0]) for action in env.actions} == {1}


def test_what_is_logged_at_the_start_is_told():
    heard = []
    with remarks(heard):
        tryout.logging.getLogger("mlagents_envs.environment").info("Connected to package 3.0.0")
        tryout.logging.getLogger("mlagents_envs.environment").warning("very old")
    assert [(finding.level, finding.text) for finding in heard] == [
        (Level.OK, "Connected to package 3.0.0"),
        (Level.WARNING, "very old"),
    ]


@pytest.fixture
def configuration(tmp_path):
    """A function that writes a configuration with this text."""

    def write(text):
        file = tmp_path / "run.yaml"
        file.write_text(text)
        return str(file)

    return write


def test_behaviors_of_the_file_and_the_build_are_compared(configuration):
    def compared(text):
        file = configuration(text)
        return check_behaviors(["Walker?team=0"], load(file, {})[0], file)

    assert [finding.level for finding in compared("behaviors: {Walker: {}}")] == [Level.OK]
    differ = compared("behaviors: {Walkr: {}}")
    assert "the build has 'Walker', and the file does not; is 'Walkr' meant?" in texts(differ, Level.PROBLEM)
    assert [finding.level for finding in compared("{behaviors: {Walkr: {}}, default_settings: {max_steps: 5}}")] == [
        Level.WARNING,
        Level.WARNING,
    ]
    assert "names no behavior" in texts(compared("env_settings: {seed: 1}"), Level.WARNING)


def test_a_build_that_is_not_there_is_a_problem(tmp_path):
    (found,) = check_build(str(tmp_path / "Walker"))
    assert found.level is Level.PROBLEM
    assert "no player of that name" in found.text


# the machine


def test_strangers_under_our_names_are_found(tmp_path, monkeypatch):
    for name in ("mlagents", "mlagents_envs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    ours = [str(Path(package.__file__).parents[1]) for package in (mlagents, mlagents_envs)]
    assert [finding.level for finding in check_shadowing(ours)] == [Level.OK]
    assert [finding.level for finding in check_shadowing([*ours, str(tmp_path)])] == [Level.WARNING] * 2
    shadowed = check_shadowing([str(tmp_path), *ours])
    assert f"{tmp_path / 'mlagents_envs'} is Unity's own mlagents_envs, or an old one, and is imported" in texts(
        shadowed, Level.PROBLEM
    )
    monkeypatch.chdir(tmp_path)
    assert [finding.level for finding in check_shadowing(ours)] == [Level.WARNING] * 2


def test_packages_of_different_releases_are_a_problem(monkeypatch):
    monkeypatch.setattr(health, "version_of", {"mlagents": "2.1", "mlagents-envs": "2.0"}.get)
    said = texts(health.check_packages(), Level.PROBLEM)
    assert "pip install mlagents-envs==2.1" in said
    assert "numpy" in said


def test_a_python_that_nobody_tested_is_a_warning(monkeypatch):
    monkeypatch.setattr(health, "NEWEST", (3, 9))
    assert "use Python 3.11 to 3.9" in texts(health.check_python(), Level.WARNING)


def test_torch_that_cannot_be_loaded_is_a_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch cannot be imported" in texts(check_torch(), Level.PROBLEM)


def test_a_package_that_is_missing_is_a_finding_of_any_check():
    def check():
        import mlagents_absent

        return [mlagents_absent]

    (found,) = attempt(check)
    assert found.level is Level.PROBLEM
    assert "mlagents_absent cannot be imported" in found.text


def test_the_cache_of_compiled_kernels_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "cache"))
    assert "will compile once into" in texts(health.check_kernels(), Level.OK)
    (tmp_path / "kernel.nbc").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert "1 compiled kernels in" in texts(health.check_kernels(), Level.OK)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernel.nbc" / "cache"))
    assert "set NUMBA_CACHE_DIR" in texts(health.check_kernels(), Level.WARNING)
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(compiled, "PACKAGE", tmp_path / "kernel.nbc" / "nowhere")  # a shared installation
    monkeypatch.setattr(sys, "platform", "linux")
    own = tmp_path / "caches" / "mlagents" / "numba"
    assert f"will compile once into {own}" in texts(health.check_kernels(), Level.OK)
    own.mkdir(parents=True)
    own.chmod(0o777)
    assert f"others can write to {own}" in texts(health.check_kernels(), Level.WARNING)
    monkeypatch.setattr(health, "version_of", lambda name: None)
    assert "pip install numba" in texts(health.check_kernels(), Level.WARNING)


def test_a_port_that_is_taken_is_a_warning():
    with socket.create_server(("localhost", 0)) as server:
        (found,) = health.check_port(server.getsockname()[1])
    assert found.level is Level.WARNING
    assert f"held by process {os.getpid()}" in found.text


# the command


def lines(capsys, level):
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(level)]


def test_the_command_looks_at_the_machine_alone(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("ok       Python 3.")
    assert "torch" in said
    assert "\033" not in said
    assert said.endswith("No problem found.\n")


def test_the_command_tries_an_environment_and_a_file(capsys, configuration):
    assert main([configuration("behaviors: {Basic: {}}"), "--env", "builtin:Basic"]) == 0
    assert "names every behavior of the environment" in lines(capsys, "ok")[-1]
    assert main([configuration("behaviors: {Basics: {}}"), "--env", "builtin:Basic"]) == 1
    assert "is 'Basics' meant?" in lines(capsys, "problem")[0]


def test_the_environment_of_the_file_is_tried(capsys, configuration):
    assert main([configuration("{behaviors: {Basic: {}}, env_settings: {env_path: 'builtin:Basic'}}")]) == 0
    assert "50 steps at" in capsys.readouterr().out


def test_mistakes_in_the_file_do_not_keep_the_environment_from_being_tried(capsys, configuration):
    assert main([configuration("behaviors: {Basic: {max_step: 5}}"), "--env", "builtin:Basic"]) == 1
    said = capsys.readouterr().out
    assert "did you mean 'max_steps'?" in said
    assert "50 steps at" in said
    assert said.endswith("1 problem found.\n")


def test_an_example_that_does_not_exist_is_a_problem(capsys):
    assert main(["--env", "builtin:Basics"]) == 1
    assert "did you mean 'Basic'?" in lines(capsys, "problem")[0]


@posix
def test_a_build_that_fails_is_a_problem_with_its_last_lines(capsys, tmp_path):
    player = tmp_path / "Player"
    player.write_text(f"#!{sys.executable} -ES\nprint('Unable to open display')\nraise SystemExit(3)\n")
    player.chmod(0o755)
    assert main(["--env", str(player), "--no-graphics", "--timeout-wait", "20", "--env-args", "--level", "2"]) == 1
    said = capsys.readouterr().out
    assert f"ok       the player is {player}" in said
    assert "ended with status 3. It found no display" in said
    assert "\n             Unable to open display\n" in said


def test_a_build_is_started_and_listened_to(capsys, tmp_path):
    make_executable(tmp_path, "Basic")
    assert main(["--env", str(tmp_path / "Basic"), "--no-graphics"]) == 0
    said = capsys.readouterr().out
    assert "Connected to Unity environment with package version" in said
    assert "Basic?team=0: sees " in said
    assert "50 steps at" in said


@posix
def test_a_build_that_may_not_be_executed_is_not_started(capsys, tmp_path):
    (tmp_path / "Player").write_text("#!/bin/sh\n")
    assert main(["--env", str(tmp_path / "Player")]) == 1
    assert "chmod +x" in lines(capsys, "problem")[0]


def test_interruption_is_quiet(monkeypatch, capsys):
    def interrupted(given):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert main([]) == 130
    assert "Stopped" in capsys.readouterr().err


def test_a_wrong_flag_is_a_mistake_of_usage():
    with pytest.raises(SystemExit, match="2"):
        main(["--no-such-flag"])


def test_help_needs_the_standard_library_only():
    program = (
        "import sys; from mlagents.doctor.command import make_parser; make_parser().format_help(); "
        "print({'numpy', 'torch', 'rich', 'pydantic', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_only_suspicious_in_a_file_stands_beside_its_mistakes(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("behaviors:\n  B: {max_steps: 0, network_settings: {hiden_units: 5}}\n")
    found = list(check_run(str(file), {}))
    assert [finding.level for finding in found] == [Level.WARNING, Level.PROBLEM]
    assert "did you mean 'hidden_units'? (ignored)" in found[0].text
