"""DQN with demonstrations: what was shown is preferred by a margin, and learnt before anything was tried."""

import numpy as np
import pytest
import torch

from mlagents.api import Actions, Experience, NetworkSettings, PolicyInput, PolicyOutput, TrainerSetup, Transition
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.basic import Basic
from mlagents_trainer_plugin.dqn.dqn_trainer import DQNSettings, DQNTrainer


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def walk(tmp_path):
    """A demonstration that goes right from the middle to the large goal."""
    with DemonstrationRecorder(tmp_path / "walk.demo", "Basic", Basic.SPEC) as recorder:
        for place in range(10, 18):
            seen = np.eye(20, dtype=np.float32)[place]
            recorder.record([seen], -0.01 if place < 17 else 0.99, np.array([]), np.array([2]), done=place == 17)
    return str(tmp_path / "walk.demo")


def made(demonstrations=None, **settings):
    setup = TrainerSetup(
        Basic.SPEC, NetworkSettings(hidden_units=32, num_layers=1), [Extrinsic(gamma=0.9, strength=1.0)], 1000,
        demonstrations,
    )  # fmt: skip
    return DQNTrainer(setup, DQNSettings(**{"batch_size": 32, "learning_rate": 3e-3, "tau": 0.05, **settings}))


def batch(demonstrated):
    n = 32
    none, flags, mask = torch.zeros(n, 0), torch.zeros(n, dtype=torch.bool), torch.ones(n, 3, dtype=torch.bool)
    seen, choice = torch.eye(20)[torch.arange(n) % 20], torch.ones(n, 1, dtype=torch.int64)
    output = PolicyOutput(Actions(none, choice), torch.zeros(n, 1), torch.zeros(n), none)
    rows = Experience(PolicyInput((seen,), mask, none), output, *[torch.zeros(n)] * 3, flags, flags)
    return Transition(rows, rows.input, torch.zeros(n, 1), torch.zeros(n, 1), flags | demonstrated)


@pytest.mark.parametrize("demonstrated", [True, False])
def test_only_what_was_demonstrated_is_raised_above_the_rest_by_the_margin(demonstrated):
    trainer, rows = made(margin=0.5), batch(demonstrated)
    for _ in range(400):
        trainer.update(rows)
    q_values = trainer.policy.q_values(rows.input)
    above = q_values[:, 1] - q_values[:, [0, 2]].amax(1)
    assert above.min() > 0.45 if demonstrated else above.max() < 0.4


def test_the_steps_before_the_first_own_row_already_play_what_was_shown(walk):
    trainer = made(DemonstrationSettings(sources=[{"file": walk}], bc_init_steps=600))
    while trainer.imitated < 600:
        trainer.learn(0)
    assert trainer.updates == 0
    seen = torch.eye(20)[10:17]
    output = trainer.policy.act(PolicyInput((seen,), torch.ones(7, 3).bool(), torch.zeros(7, 0)), explore=False)
    assert output.action.discrete.flatten().tolist() == [2] * 7
