"""PPO with a policy of its own layers, and with a critic of its own."""

import torch
from torch import Tensor, nn

import mlagents.api as ml


class LayerNormPolicy(ml.Policy):
    """Two layers with layer normalization and ReLU; a Gaussian whose deviation depends on the state."""

    def __init__(self, setup: ml.TrainerSetup) -> None:
        super().__init__(setup.spec, deterministic=setup.network.deterministic)
        seen, width = sum(sensor.shape[0] for sensor in setup.spec.observation_specs), setup.network.hidden_units
        self.layers = nn.Sequential(
            nn.Linear(seen, width), nn.LayerNorm(width), nn.ReLU(),
            nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(width, 2 * self.continuous + sum(self.branches))

    def forward(self, input: ml.PolicyInput) -> tuple[ml.Distribution, Tensor]:
        output = self.head(self.layers(torch.cat(input.obs, 1)))
        if self.branches:
            return ml.Categorical(output, input.mask, self.branches), input.memory
        mean, log_sigma = output.chunk(2, 1)
        return ml.Gaussian(mean, log_sigma.clamp(-3, 1)), input.memory


class LayerNormTrainer(ml.PPOTrainer):
    """PPO as it is, with another policy."""

    trainer_type = "layer-norm-ppo"
    capabilities = ml.Capabilities(hybrid=False)

    def make_policy(self, setup: ml.TrainerSetup) -> LayerNormPolicy:
        return LayerNormPolicy(setup)


class OwnCritic(nn.Module):
    """One hidden layer of tanh."""

    def __init__(self, setup: ml.TrainerSetup) -> None:
        super().__init__()
        seen, width = sum(sensor.shape[0] for sensor in setup.spec.observation_specs), setup.network.hidden_units
        self.layers = nn.Sequential(nn.Linear(seen, width), nn.Tanh(), nn.Linear(width, len(setup.signals)))

    def forward(self, input: ml.PolicyInput) -> Tensor:
        return self.layers(torch.cat(input.obs, 1))


class OwnCriticTrainer(ml.PPOTrainer):
    """PPO as it is, with another critic."""

    trainer_type = "own-critic-ppo"

    def make_critic(self, setup: ml.TrainerSetup) -> OwnCritic:
        return OwnCritic(setup)
