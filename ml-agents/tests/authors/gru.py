"""PPO with a GRU: what an agent remembers goes in and comes out as `memory`."""

import torch
from torch import Tensor, nn

import mlagents.api as ml


class GRUPolicy(ml.Policy):
    """A layer, a GRU cell, and a head for one categorical per branch."""

    memory_size = 16

    def __init__(self, setup: ml.TrainerSetup) -> None:
        super().__init__(setup.spec, deterministic=setup.network.deterministic)
        seen = sum(sensor.shape[0] for sensor in setup.spec.observation_specs)
        self.layer = nn.Linear(seen, setup.network.hidden_units)
        self.cell = nn.GRUCell(setup.network.hidden_units, self.memory_size)
        self.head = nn.Linear(self.memory_size, sum(self.branches))

    def forward(self, input: ml.PolicyInput) -> tuple[ml.Distribution, Tensor]:
        memory = self.cell(self.layer(torch.cat(input.obs, 1)).tanh(), input.memory)
        return ml.Categorical(self.head(memory), input.mask, self.branches), memory


class GRUTrainer(ml.PPOTrainer):
    """PPO as it is, with a policy that remembers."""

    trainer_type = "gru-ppo"
    capabilities = ml.Capabilities(continuous=False, hybrid=False, memory=True)

    def make_policy(self, setup: ml.TrainerSetup) -> GRUPolicy:
        return GRUPolicy(setup)
