"""What authors of trainers may lean on: these names are kept; everything else of the package may move."""

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.modules import Module
from mlagents.algorithms.objectives import clipped_surrogate, gae, lambda_return, margin_loss, normalized
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.algorithms.poca import POCATrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.schedules import AnySchedule, Schedule
from mlagents.algorithms.settings import (
    HyperparamSettings,
    OffPolicyHyperparamSettings,
    OnPolicyHyperparamSettings,
    POCASettings,
    PPOSettings,
)
from mlagents.algorithms.trainer import Metrics, TrainerSetup
from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.groups import Groups
from mlagents.data.replay import ReplayBuffer, Transition
from mlagents.data.rollout import Rollout, Segments
from mlagents.data.rows import Rows
from mlagents.data.sequence_replay import SequenceBatch
from mlagents.nn.body import NetworkBody
from mlagents.nn.distributions import (
    ACTION_CLIP,
    Categorical,
    Distribution,
    EpsilonGreedy,
    Gaussian,
    Hybrid,
    SquashedGaussian,
)
from mlagents.nn.groups import GroupCritic
from mlagents.nn.layers import UnsupportedNetwork, linear
from mlagents.nn.policy import Actor, Policy
from mlagents.nn.settings import NetworkSettings
from mlagents.nn.values import ActionCritic, Critic
from mlagents.rewards.settings import RewardSignalSettings
from mlagents.rewards.signal import RewardSignal, SignalBatch, SignalSetup
from mlagents.run.recorder import StatsSummary, StatsWriter
from mlagents.schema import Int

__all__ = [
    "ACTION_CLIP",
    "ActionCritic",
    "Actions",
    "Actor",
    "AnySchedule",
    "Batch",
    "Capabilities",
    "Categorical",
    "Critic",
    "Distribution",
    "EpsilonGreedy",
    "Experience",
    "Gaussian",
    "GroupCritic",
    "Groups",
    "Hybrid",
    "HyperparamSettings",
    "Int",
    "Metrics",
    "Module",
    "NetworkBody",
    "NetworkSettings",
    "OffPolicyHyperparamSettings",
    "OffPolicyTrainer",
    "OnPolicyHyperparamSettings",
    "OnPolicyTrainer",
    "POCASettings",
    "POCATrainer",
    "PPOSettings",
    "PPOTrainer",
    "Policy",
    "PolicyInput",
    "PolicyOutput",
    "ReplayBuffer",
    "RewardSignal",
    "RewardSignalSettings",
    "Rollout",
    "Rows",
    "Schedule",
    "Segments",
    "SequenceBatch",
    "SignalBatch",
    "SignalSetup",
    "SquashedGaussian",
    "StatsSummary",
    "StatsWriter",
    "TrainerSetup",
    "Transition",
    "UnsupportedNetwork",
    "clipped_surrogate",
    "gae",
    "lambda_return",
    "linear",
    "margin_loss",
    "normalized",
]
