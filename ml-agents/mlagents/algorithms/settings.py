"""What the YAML's `hyperparameters` may say. No torch here: settings are read before it is loaded."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from mlagents.schema import COUNT, STEPS, Int, LenientSettings, Settings

Shape = Literal["constant", "linear"]


class HyperparamSettings(Settings):
    """What every trainer takes."""

    ORDER: ClassVar[tuple[str, ...]] = ()
    """How a saved file orders the keys; those not named follow as they are declared."""

    batch_size: Int = Field(1024, ge=1, le=COUNT)
    """Rows of one gradient step."""
    learning_rate: float = Field(3e-4, gt=0)
    """Size of a gradient step at the start."""
    learning_rate_schedule: Shape = "constant"
    """Whether the learning rate stays, or falls to almost nothing at max_steps."""
    max_grad_norm: float = Field(0.0, ge=0, le=1e9)
    """Largest norm of the gradient of one step; longer ones are scaled down. 0 leaves them as they are."""


class OnPolicyHyperparamSettings(HyperparamSettings):
    """What trainers take that learn from what their present policy did."""

    buffer_size: Int = Field(10240, ge=1, le=COUNT)
    """Rows gathered before an update."""
    num_epoch: Int = Field(3, ge=1, le=COUNT)
    """Times that each rollout is walked."""
    lambd: float = Field(0.95, ge=0, le=1)
    """How far advantages look ahead: 0 one step, 1 to the end."""


class OffPolicyHyperparamSettings(HyperparamSettings):
    """What trainers take that learn from whatever was done before."""

    batch_size: Int = Field(128, ge=1, le=COUNT)
    """Rows of one gradient step."""
    buffer_size: Int = Field(50000, ge=1, le=COUNT)
    """Rows remembered at most."""
    buffer_init_steps: Int = Field(0, ge=0, le=STEPS)
    """Rows gathered before the first update; anew after a resume, unless the remembered rows were saved."""
    steps_per_update: float = Field(1.0, gt=0, le=COUNT)
    """Rows gathered per gradient step."""
    save_replay_buffer: bool = False
    """Whether a checkpoint holds the remembered rows too."""
    reward_signal_steps_per_update: float = Field(4.0, gt=0, le=COUNT)
    """Rows gathered per update of the reward signals."""


POLICY_GRADIENT_ORDER = (
    "batch_size", "buffer_size", "learning_rate", "beta", "epsilon", "lambd", "num_epoch", "shared_critic",
    "learning_rate_schedule", "beta_schedule", "epsilon_schedule",
)  # fmt: skip


class ClippedPolicySettings(OnPolicyHyperparamSettings):
    """What trainers take that clip how far a policy goes in one update."""

    ORDER = POLICY_GRADIENT_ORDER

    beta: float = Field(5e-3, ge=0)
    """Weight of the entropy bonus at the start."""
    epsilon: float = Field(0.2, gt=0)
    """How far the ratio of new to old probability may go before it is clipped, at the start."""
    learning_rate_schedule: Shape = "linear"
    """Whether the learning rate stays, or falls to almost nothing at max_steps."""
    beta_schedule: Shape = "linear"
    """As learning_rate_schedule, whose value it takes where it is not given."""
    epsilon_schedule: Shape = "linear"
    """As learning_rate_schedule, whose value it takes where it is not given."""

    @model_validator(mode="before")
    @classmethod
    def _follow(cls, given: Any) -> Any:
        return following(given, "learning_rate_schedule", "beta_schedule", "epsilon_schedule")


class PPOSettings(ClippedPolicySettings):
    """PPO."""

    shared_critic: bool = False
    """Whether the critic sits on the policy's own body."""


class POCASettings(ClippedPolicySettings):
    """MA-POCA, for agents that are rewarded as a group."""


class SACSettings(OffPolicyHyperparamSettings):
    """SAC."""

    ORDER = (
        "learning_rate", "learning_rate_schedule", "batch_size", "buffer_size", "buffer_init_steps", "tau",
        "steps_per_update", "save_replay_buffer", "init_entcoef", "reward_signal_steps_per_update",
    )  # fmt: skip

    tau: float = Field(0.005, gt=0, le=1)
    """Share of the way that the target network goes at each update."""
    init_entcoef: float = Field(1.0, ge=0)
    """Weight of the entropy at the start."""
    critics: Int = Field(2, ge=2, le=100)
    """Q networks. With more than two of them the policy goes by their mean, with two by the first."""
    target_critics: Int = Field(2, ge=1, le=100)
    """Q networks, drawn anew for each update, of which the smallest value counts in the target."""
    critic_layer_norm: bool = False
    """Layer normalization behind each hidden layer of the critics."""
    reward_signal_steps_per_update: float = Field(1.0, gt=0, le=COUNT)
    """Rows gathered per update of the reward signals; as steps_per_update where it is not given."""

    @model_validator(mode="before")
    @classmethod
    def _follow(cls, given: Any) -> Any:
        return following(given, "steps_per_update", "reward_signal_steps_per_update")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.target_critics > self.critics:
            raise ValueError(f"target_critics is {self.target_critics}; must not be more than critics, {self.critics}")
        return self


class OfflineHyperparamSettings(HyperparamSettings):
    """What trainers take that learn from demonstrations alone, in runs without an environment."""


class BCSettings(OfflineHyperparamSettings):
    """Behavioral cloning alone."""

    batch_size: Int = Field(128, ge=1, le=COUNT)
    """Demonstrated rows of one gradient step; all of them if there are fewer."""
    learning_rate_schedule: Shape = "linear"
    """Whether the learning rate stays, or falls to almost nothing at max_steps."""
    weight_decay: float = Field(0.0, ge=0, le=100)
    """How strongly weights are drawn to 0, as a share of the learning rate at each gradient step."""
    min_sigma: float = Field(0.03, gt=0, le=1)
    """Smallest deviation of a continuous action, in the environment's units, where actions lie between -1 and 1."""
    held_out: float = Field(0.1, ge=0, le=0.9)
    """Share of the episodes that are not learned from: the weights with the best loss on them are kept and exported."""
    patience: Int = Field(0, ge=0, le=COUNT)
    """Epochs without a better held-out loss after which training ends; 0 goes on to max_steps."""

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.patience and not self.held_out:
            raise ValueError("patience looks at the held-out loss: it needs held_out above 0")
        return self


class BehavioralCloningSettings(LenientSettings):
    """Imitating demonstrations beside learning from reward."""

    demo_path: str
    """A .demo file, or a folder of them."""
    steps: Int = Field(0, ge=0, le=STEPS)
    """Steps until imitation has faded; 0 keeps it."""
    strength: float = Field(1.0, ge=0)
    """Learning rate of imitation as a share of the trainer's."""
    samples_per_update: Int = Field(0, ge=0, le=COUNT)
    """Demonstration rows per epoch of an update, in whole batches; 0 takes all."""
    num_epoch: Int | None = Field(None, ge=1, le=COUNT)
    """Times that the rows are walked; the trainer's where it is not given, or 3 where that has none."""
    batch_size: Int | None = Field(None, ge=1, le=COUNT)
    """Rows of one gradient step; the trainer's where it is not given."""


def following(given: Any, leader: str, *followers: str) -> Any:
    """Return `given` with the followers that are missing set as the leader, where that is there."""
    if not isinstance(given, dict) or leader not in given:
        return given
    return {**dict.fromkeys(followers, given[leader]), **given}
