"""The mistakes that the reference of trainers lists are printed as it shows them."""

import re
import sys
from pathlib import Path

import pytest

from mlagents.learn import main

TEXT = (Path(__file__).parents[2] / "docs/trainers.md").read_text(encoding="utf-8")
SECTION = re.split(r"\n##+ ", TEXT.partition("\n## Mistakes\n")[2])[0]
PRINTED = re.findall(r"^\| `(.+?)` \|", SECTION, re.MULTILINE)
HEAD = "import torch\nfrom torch import nn\nimport mlagents.api as ml\n\n\n"
ON = "class MineTrainer(ml.OnPolicyTrainer):\n"
OFF = "class MineTrainer(ml.OffPolicyTrainer):\n"
PPO = "class MineTrainer(ml.PPOTrainer):\n"
TERM = ON + "    def loss(self, batch):\n        return "
SIGNAL = """class MineSignal(ml.RewardSignal):
    def evaluate(self, batch):
        return batch.rows.reward

    def update(self, batch):
        return {}


class MineSettings(ml.OffPolicyHyperparamSettings):
    n_step: ml.Int = 3
    \"\"\"Rows.\"\"\"


"""
POLICY = """class MinePolicy(ml.Policy):
{extra}    def __init__(self, setup):
        super().__init__(setup.spec)
        self.layer = nn.Linear(20, 3)

    def forward(self, input):
"""
CHOICES = "        return ml.Categorical(self.layer(input.obs[0]), input.mask, self.branches)"
OWN_POLICY = "\n\n\n" + PPO + "    def make_policy(self, setup):\n        return MinePolicy(setup)\n"
MISTAKES = {  # what is printed, as far as it tells one from the others -> the file
    "has no loss": ON + "    pass\n",
    "has a method 'update'": ON + "    def update(self, batch):\n        return {}\n",
    "a dict of scalars": TERM + "self.values(batch).mean()\n",
    "is float": TERM + "{'value': self.values(batch).mean().item()}\n",
    "the term 'value' has shape": TERM + "{'value': self.values(batch)}\n",
    "stretches": ON + "    def loss(self, batch):\n        log_prob, _ = self.evaluate(batch)\n"
    "        return {'policy': -(log_prob * batch.advantage).mean()}\n",
    "AttributeError": ON + "    def loss(self, batch):\n        log_prob, _ = self.evaluate(batch)\n"
    "        return {'policy': -(log_prob.sum(1) * batch.advantages).mean()}\n",
    "an optimizer changes": PPO
    + "    def __init__(self, setup, settings):\n        super().__init__(setup, settings)\n"
    "        self._extra = nn.Linear(3, 2)\n"
    "        self.extra_optimizer = self.make_optimizer(list(self._extra.parameters()))\n",
    "n_step is 3": SIGNAL + OFF + "    Settings = MineSettings\n\n    def update(self, batch):\n        return {}\n",
    "the loss of take_step has shape": OFF + "    def __init__(self, setup, settings):\n"
    "        super().__init__(setup, settings)\n"
    "        self.optimizer = self.make_optimizer(list(self.policy.parameters()))\n\n    def update(self, batch):\n"
    "        log_prob, _ = self.policy.evaluate(batch.input, batch.action)\n"
    "        self.take_step(self.optimizer, log_prob.sum(1))\n        return {}\n",
    "follows the schedule": PPO + "    def make_optimizer(self, parameters):\n"
    "        return torch.optim.Adam([{'params': parameters, 'schedule': 'typo'}])\n",
    "the memory afterwards": POLICY.format(extra="") + CHOICES + OWN_POLICY,
    "the memory of": POLICY.format(extra="    memory_size = 4\n\n")
    + CHOICES
    + ", torch.zeros(len(input), 5)"
    + OWN_POLICY,
    "the value of": """class MineCritic(nn.Linear):
    def forward(self, input):
        return super().forward(input.obs[0])[:, 0]


"""
    + PPO
    + "    def make_critic(self, setup):\n        return MineCritic(20, 1)\n",
    "has no evaluate": "class MineSignal(ml.RewardSignal):\n    pass\n\n\n" + PPO + "    pass\n",
    "depends on no parameter": TERM + "{'value': self.values(batch).mean().detach()}\n",
    "update must return": OFF + "    def update(self, batch):\n        pass\n",
    "targets must return": PPO + "    def targets(self, segments):\n        return {}\n",
    "is nan": TERM + "{'value': self.values(batch).mean() * float('nan')}\n",
    "exports = False": POLICY.format(extra="    exports = False\n\n") + CHOICES + ", input.memory" + OWN_POLICY,
}
CONFIG = """
plugins: [mine.py]
behaviors:
  Basic:
    trainer_type: mine
    hyperparameters: {batch_size: 64, buffer_size: 64}
    network_settings: {hidden_units: 8, num_layers: 1}
    reward_signals: {extrinsic: {}}
    max_steps: 200
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("mlagents_plugin_mine", None)


def test_each_mistake_of_the_page_is_made_here():
    assert len(PRINTED) == len(MISTAKES)
    assert [sentence for sentence in PRINTED if sum(key in sentence for key in MISTAKES) != 1] == []


@pytest.mark.parametrize("sentence", PRINTED, ids=range(len(PRINTED)))
def test_a_mistake_is_printed_as_the_page_shows(sentence, capsys):
    (code,) = (code for key, code in MISTAKES.items() if key in sentence)
    Path("mine.py").write_text(HEAD + code, encoding="utf-8")
    config = CONFIG.replace("extrinsic: {}", "extrinsic: {}, mine: {}") if "MineSignal" in code else CONFIG
    Path("mine.yaml").write_text(config, encoding="utf-8")
    status = main(["mine.yaml", "--env", "builtin:Basic", "--run-id", "mine"])
    printed = capsys.readouterr()
    assert sentence in " ".join((printed.out + printed.err).split())
    assert status == (0 if "exports" in sentence else 2)
