"""`mlagents-plugin check`, as it is called."""

import argparse
import json
import re

import pytest

from mlagents.conformance import command
from mlagents.conformance.runner import CheckRequest, run_checks
from mlagents.plugins.catalog import Catalog

FRAGILE = """
import os
from mlagents.api import PPOTrainer

class FragileTrainer(PPOTrainer):
    capabilities = PPOTrainer.capabilities.__class__(hybrid=False, discrete=False)

    def state_dict(self):
        os._exit(3)

    def close(self, lane):
        raise RuntimeError("not now")

    def forget(self):
        raise RuntimeError("not now")
"""


@pytest.fixture
def check(monkeypatch, capsys):
    """A function that runs the command in this process and returns its exit status and its output."""
    monkeypatch.setattr(command, "PROCESSES", 1)

    def run(*words):
        parser = argparse.ArgumentParser()
        shared = argparse.ArgumentParser(add_help=False)
        shared.add_argument("--plugin", dest="plugins", action="append", default=[])
        command.add_parser(parser.add_subparsers(), shared)
        flags = parser.parse_args(["check", *map(str, words)])
        status = command.run(Catalog(flags.plugins), flags)
        return status, capsys.readouterr()

    return run


@pytest.fixture
def fragile(tmp_path):
    file = tmp_path / "fragile.py"
    file.write_text(FRAGILE)
    return file


def test_a_line_per_check_and_a_summary(check):
    status, output = check("ppo", "--only", "Setting")
    assert status == 0
    lines = output.out.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("ok ") for line in lines[:3])
    assert lines[-1].startswith("ppo: 3 ok, 0 failed, 0 skipped, in ")


def test_a_fault_is_the_exit_status_and_stands_in_the_report(check, fragile, tmp_path):
    report = tmp_path / "report.json"
    status, output = check("fragile", "--plugin", fragile, "--only", "a resumed", "--json", report)
    assert status == 1
    assert "FAILED" in output.out
    assert f"RuntimeError: not now ({fragile}, line 15)" in output.out
    assert re.search(r"fragile: 0 ok, 1 failed, \d skipped", output.out)
    written = json.loads(report.read_text())
    assert written["failed"] is True
    assert written["trainer"] == "fragile"
    verdicts = {result["check"]: result["verdict"] for result in written["results"]}
    assert verdicts["a resumed trainer equals one that never stopped (continuous)"] == "FAILED"
    assert verdicts["a resumed trainer equals one that never stopped (hybrid)"] == "skipped"


def test_a_check_that_ends_its_process_is_a_fault_and_the_others_go_on(fragile):
    order = CheckRequest("fragile", (str(fragile),), only=" g")  # gives, gets, greedy
    found = {result.check: result for result in run_checks(order, processes=2)}
    assert set(found) == {str(check) for check in order.checks()}
    broken = found.pop("the same seed gives the same weights (continuous)")
    assert broken.verdict == "FAILED"
    assert "it ended the whole process" in broken.detail
    assert found["every agent gets its own action (continuous)"].verdict == "ok"
    assert {result.verdict for result in found.values()} == {"ok", "skipped"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pppo"], "'pppo' is no known trainer, did you mean 'ppo'?"),
        (["ppo", "--only", "zebra"], "--only: no check has 'zebra' in its name"),
        (["ppo", "--config", "{folder}/other.yaml"], "no behavior has the trainer_type 'ppo'"),
        (["ppo", "--only", "misspelt", "--config", "{folder}/wrong.yaml"], "unknown key, did you mean 'batch_size'"),
        (["ppo", "--only", "unknown setting", "--json", "{folder}/no/such.json"], "cannot be written"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(check, tmp_path, words, sentence):
    (tmp_path / "other.yaml").write_text("behaviors: {B: {trainer_type: sac}}")
    (tmp_path / "wrong.yaml").write_text("behaviors: {B: {trainer_type: ppo, hyperparameters: {batch_sise: 2}}}")
    status, output = check(*(word.format(folder=tmp_path) for word in words))
    assert status == 2
    assert sentence in output.err


def test_a_plugin_that_does_not_load_is_told_with_its_line(check, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("\n\nraise ValueError('no')\n")
    status, output = check("bad", "--plugin", file)
    assert status != 0
    assert "bad" in output.err


def test_a_trainer_of_demonstrations_alone_is_not_checked_with_agents(check):
    status, output = check("bc")
    assert status == 2
    assert "'bc' learns from demonstrations alone; the checks are for trainers that learn from agents" in output.err
