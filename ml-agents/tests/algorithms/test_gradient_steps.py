"""Gradient steps of the templates: clipped where that is asked, and kept with their parameters."""

import pytest
import torch
from author_runs import make, train
from torch import nn

from mlagents.algorithms import fast_ppo
from mlagents.algorithms.modules import load_state, modules_of, state_of
from mlagents.algorithms.on_policy import OnPolicyTrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.sac import SACTrainer
from mlagents.conformance.subject import CONTINUOUS
from mlagents.conformance.tasks import CopyTask

TASK = CopyTask(CONTINUOUS.actions)


class Watched(torch.optim.SGD):
    """Notes the norm of every gradient that it is given."""

    def step(self, closure=None):
        grads = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        self.norms = [*getattr(self, "norms", []), torch.linalg.vector_norm(torch.cat([g.flatten() for g in grads]))]
        return super().step(closure)


def watched(base, **more):
    return type("Trainer", (base,), {"make_optimizer": lambda self, p: Watched(p, lr=1e-3), **more})


class ByAutograd(PPOTrainer):
    def descend(self, batch):
        return OnPolicyTrainer.descend(self, batch)


@pytest.mark.parametrize("base", [PPOTrainer, ByAutograd, SACTrainer])
def test_the_gradient_of_a_step_is_no_longer_than_it_may_be(base):
    longest = {}
    for limit in (0.0, 1e-3):
        trainer = make(watched(base), TASK.spec, max_grad_norm=limit)
        assert base is not PPOTrainer or fast_ppo.applies(trainer)
        train(trainer, TASK, 320)
        optimizers = [module for module in modules_of(trainer).values() if isinstance(module, Watched)]
        longest[limit] = max(float(norm) for optimizer in optimizers for norm in optimizer.norms)
    assert longest[1e-3] == pytest.approx(1e-3, rel=1e-2)
    assert longest[0.0] > 0.01


def test_clipping_by_hand_equals_clipping_by_autograd():
    states = []
    for base in (PPOTrainer, ByAutograd):
        trainer = make(base, TASK.spec, max_grad_norm=0.05)
        train(trainer, TASK, 320)
        states.append(trainer.policy.state_dict())
    for name, value in states[0].items():
        assert torch.allclose(value, states[1][name], atol=2e-3), name


class Owner:
    def __init__(self):
        self.nets = [nn.Linear(2, 1), {"deep": (nn.Linear(2, 2),)}]
        self.scale = nn.Parameter(torch.randn(3))
        self.optimizer = torch.optim.Adam([self.scale])
        self._hidden = nn.Linear(1, 1)


def test_modules_in_containers_and_bare_parameters_are_kept_by_name():
    one, other = Owner(), Owner()
    found = modules_of(one)
    assert set(found) == {"Nets 0", "Nets 1 deep 0", "Scale", "Optimizer"}
    one.scale.pow(2).sum().backward()
    one.optimizer.step()
    load_state(modules_of(other), state_of(found))
    assert torch.equal(other.scale, one.scale)
    assert torch.equal(other.nets[1]["deep"][0].weight, one.nets[1]["deep"][0].weight)
    assert other.optimizer.state_dict()["state"][0]["step"] == 1
    state = state_of(found)
    with torch.no_grad():
        one.scale.zero_()
    assert state["Scale"].any()  # a state is no view


def test_a_parameter_of_another_shape_is_refused_and_not_stretched():
    owner = Owner()
    state = {**state_of(modules_of(owner)), "Scale": torch.ones(1)}
    with pytest.raises(RuntimeError, match=r"Scale: size mismatch, \(1,\) instead of \(3,\)"):
        load_state(modules_of(owner), state)
