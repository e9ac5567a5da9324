"""`mlagents-tournament` as a user types it."""

import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from mlagents.learn import main as learn
from mlagents.tournament_tool import main

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
UNITYS = REFERENCE / "onnx" / "SoccerTwos.onnx"
SOCCER = """
behaviors:
  SoccerTwos:
    trainer_type: ppo
    hyperparameters: {batch_size: 64, buffer_size: 256}
    network_settings: {hidden_units: 4, num_layers: 1}
    max_steps: 100
    self_play: {save_steps: 50}
"""
SHORT = ["--env", "builtin:SoccerTwos", "--num-areas", "2", "--max-length", "20"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with a run of SoccerTwos."""
    folder = tmp_path_factory.mktemp("soccer")
    (folder / "soccer.yaml").write_text(SOCCER)
    options = ["--env", "builtin:SoccerTwos", "--num-areas", "1", "--run-id", "first", "--seed", "1"]
    with redirect_stdout(io.StringIO()):
        assert learn([str(folder / "soccer.yaml"), *options, "--results-dir", str(folder)]) == 0
    return folder


def test_runs_files_and_random_play_meet_and_the_same_seed_gives_the_same(results, capsys):
    step = next((results / "first" / "SoccerTwos").glob("*.onnx")).stem.rpartition("-")[2]
    words = ["first", f"first@{step}", str(results / "first" / "SoccerTwos.onnx"), "random", *SHORT]
    found = []
    for _ in range(2):
        assert main([*words, "--results-dir", str(results), "--episodes", "3", "--deterministic", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert [entrant["name"] for entrant in found[0]["entrants"]] == words[:4]
    assert len(found[0]["pairs"]) == 6 and {pair["games"] for pair in found[0]["pairs"]} == {3}
    assert all(pair["wins"] + pair["draws"] + pair["losses"] == 3 for pair in found[0]["pairs"])
    assert found[0]["complete"] and found[0]["seed"] == 10000 and found[0]["episodes"] == 3


@pytest.mark.skipif(not UNITYS.is_file(), reason="Unity's models are not there")
def test_unitys_own_model_beats_random_play(capsys):
    assert main([str(UNITYS), "random", "--env", "builtin:SoccerTwos", "--episodes", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "10 games of every two in builtin:SoccerTwos, seed 10000, actions that are drawn"
    assert lines[2].split()[:2] == ["1", str(UNITYS)]
    assert lines[-1] == f"{UNITYS} - random: 10 won, 0 drawn, 0 lost; 100.0% of the decided ones (95 % 72.2% to 100.0%)"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["random", "--env", "builtin:SoccerTwos"], "a tournament needs two who take part at least"),
        (["random", "gone.onnx", "--env", "builtin:SoccerTwos"], "gone.onnx: there is no such model"),
        (["random", "first", "--env", "builtin:Basic"], "an environment of two teams, and this one has 1: Basic?team=0"),
        (["random", "first", "--env", "builtin:SoccerTwo"], "--env: builtin:SoccerTwo: no such example; did you mean 'SoccerTwos'?"),
        (["random", "first", *SHORT, "--episodes", "0"], "--episodes: is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_played_is_a_sentence(results, words, sentence, capsys):
    assert main([*words, "--results-dir", str(results)]) == 2
    assert sentence in capsys.readouterr().err
