"""`mlagents-plugin check`, as it is called."""

import argparse
import json

import pytest

from mlagents.conformance import command
from mlagents.conformance.runner import Order, results
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
    """A function that runs the command in this process and returns its exit status and what it said."""
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
    status, told = check("ppo", "--only", "Setting")
    assert status == 0
    lines = told.out.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("ok ") for line in lines[:3])
    assert lines[-1].startswith("ppo: 3 ok, 0 faults, 0 not taken, in ")


def test_a_fault_is_the_exit_status_and_stands_in_the_report(check, fragile, tmp_path):
    report = tmp_path / "report.json"
    status, told = check("fragile", "--plugin", fragile, "--only", "a resumed", "--json", report)
    assert status == 1
    assert "FAULT" in told.out
    assert f"RuntimeError: not now ({fragile}, line 15)" in told.out
    assert "fragile: 0 ok, 1 fault, 2 not taken" in told.out
    said = json.loads(report.read_text())
    assert said["faulty"] is True
    assert said["trainer"] == "fragile"
    verdicts = {result["check"]: result["verdict"] for result in said["results"]}
    assert verdicts["a resumed trainer equals one that never stopped (continuous)"] == "FAULT"
    assert verdicts["a resumed trainer equals one that never stopped (hybrid)"] == "not taken"


def test_a_check_that_ends_its_process_is_a_fault_and_the_others_go_on(fragile):
    order = Order("fragile", (str(fragile),), only="we")  # weights, answers, and settings as they were
    found = {result.check: result for result in results(order, processes=2)}
    assert set(found) == {str(check) for check in order.checks()}
    broken = found.pop("the same seed makes the same weights (continuous)")
    assert broken.verdict == "FAULT"
    assert "it ended the whole process" in broken.said
    assert found["earlier questions change no answer (continuous)"].verdict == "ok"
    assert {result.verdict for result in found.values()} == {"ok", "not taken"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pppo"], "'pppo' is no known trainer, did you mean 'ppo'?"),
        (["ppo", "--only", "zebra"], "--only: no check has 'zebra' in its sentence"),
        (["ppo", "--config", "{folder}/other.yaml"], "none of them has the trainer_type 'ppo'"),
        (["ppo", "--only", "misspelt", "--config", "{folder}/wrong.yaml"], "unknown key, did you mean 'batch_size'"),
        (["ppo", "--only", "unknown setting", "--json", "{folder}/no/such.json"], "cannot be written"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(check, tmp_path, words, sentence):
    (tmp_path / "other.yaml").write_text("behaviors: {B: {trainer_type: sac}}")
    (tmp_path / "wrong.yaml").write_text("behaviors: {B: {trainer_type: ppo, hyperparameters: {batch_sise: 2}}}")
    status, told = check(*(word.format(folder=tmp_path) for word in words))
    assert status == 2
    assert sentence in told.err


def test_a_plugin_that_does_not_load_is_told_with_its_line(check, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("\n\nraise ValueError('no')\n")
    status, told = check("bad", "--plugin", file)
    assert status != 0
    assert "bad" in told.err
