"""How an `Actor` of plain layers answers agents on the CPU: the same numbers without the cost of torch's many calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlagents.data.experience import Actions, PolicyInput, PolicyOutput
from mlagents.nn.body import NetworkBody
from mlagents.nn.kernels import kernels
from mlagents.nn.layers import LayerWatch, is_exactly, is_plain_linear

if TYPE_CHECKING:
    from mlagents.nn.policy import Actor

Array = NDArray[Any]
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


class FastActor:
    """Walks an actor's layers with compiled kernels, on the memory of its parameters.

    `applies` is asked before each call: whatever an author replaces, hooks into or moves is torch's from then on.
    """

    def __init__(self, actor: Actor) -> None:
        self._actor, self._kernels = actor, kernels()
        self._looked: object = None
        self._plain = False

    def __reduce__(self) -> tuple[type[FastActor], tuple[Actor]]:
        """Copies of an actor answer from their own parameters."""
        return FastActor, (self._actor,)

    def applies(self, input: PolicyInput) -> bool:
        """Is all of the actor as this file knows it, and the input on the CPU?"""
        if input.mask.device.type != "cpu":
            return False
        if self._looked is None or self._signature() != self._looked:
            self._look()
        return self._plain

    def act(self, input: PolicyInput, *, explore: bool) -> PolicyOutput:
        """Return what `Policy.act` does; n rows."""
        with np.errstate(over="ignore", invalid="ignore"):  # as torch, which says nothing of it
            output = self._walk(self._body.encode(input.obs).numpy())
        n, size, branches = len(output), self._actor.continuous, len(self._sizes)
        continuous, discrete = np.empty((n, size), np.float32), np.empty((n, branches), np.int64)
        log_prob, entropy = np.empty((n, size + branches), np.float32), np.zeros(n, np.float32)
        if size:
            noise = self._noise((n, size), explore)
            entropy += self._kernels.answer_gaussian(
                output[:, :size], self._log_sigma, noise, continuous, log_prob[:, :size]
            )
        if branches:
            noise = self._exponential((n, output.shape[1] - size), explore)
            self._kernels.answer_choices(
                output[:, size:], self._sizes, input.mask.numpy(), noise, discrete, log_prob[:, size:], entropy
            )
        action = Actions(torch.from_numpy(continuous), torch.from_numpy(discrete))
        return PolicyOutput(action, torch.from_numpy(log_prob), torch.from_numpy(entropy), input.memory)

    def _walk(self, x: Array) -> Array:
        """Return the (n, C + K) output of (n, in) encoded observations."""
        for weight, bias in self._layers[:-1]:
            x = x @ weight.T
            self._kernels.swish(x, bias)
        weight, bias = self._layers[-1]
        x = x @ weight.T
        x += bias
        return x

    def _noise(self, shape: tuple[int, int], explore: bool) -> Array:
        if not explore:
            return np.zeros(shape, np.float32)
        noise: Array = torch.empty(shape, device="cpu").normal_(generator=self._actor.generator).numpy()
        return noise

    def _exponential(self, shape: tuple[int, int], explore: bool) -> Array:
        """Return the noise that `torch.multinomial` divides probabilities by, branch after branch."""
        noise = np.ones(shape, np.float32)
        if explore:
            start = 0
            for size in self._actor.branches:
                drawn = torch.empty((shape[0], size), device="cpu").exponential_(generator=self._actor.generator)
                noise[:, start : start + size] = drawn.numpy()
                start += size
        return noise

    def _signature(self) -> object:
        """Return what is different as soon as something was replaced, hooked into or moved; cheap."""
        own = vars(self._actor)
        body = own["_modules"]["body"]
        of_body = vars(body)
        layers = tuple(of_body["_modules"]["layers"])
        return (
            len(own), type(body), len(of_body), body is self._body, layers == self._watched,
            own["_modules"]["head"] is self._head, any(own[hooks] or of_body[hooks] for hooks in _HOOKS),
            own["_parameters"]["log_sigma"].data_ptr(), self._watch.addresses(),
        )  # fmt: skip

    def _look(self) -> None:
        """Look at everything, and at the parameters where they are now."""
        actor = self._actor
        self._sizes = np.array(actor.branches, np.int64)
        self._body, self._head = actor.body, actor.head
        self._watched = tuple(self._body.layers)
        layers: list[Any] = [*self._watched, self._head]
        self._watch = LayerWatch(layers)
        parameters = [p for layer in layers for p in layer.parameters()]
        self._plain = (
            is_exactly(actor, type(actor)) and is_exactly(self._body, NetworkBody) and self._body.is_mlp
            and not self._body.extra and all(is_plain_linear(layer) for layer in layers)
            and actor.log_sigma.shape == (1, actor.continuous)
            and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in (*parameters, actor.log_sigma))
        )  # fmt: skip
        if self._plain:
            seen = [p.detach().numpy() for p in parameters]
            self._layers = list(zip(seen[::2], seen[1::2], strict=True))
            self._log_sigma = actor.log_sigma.detach().numpy()[0]
        self._looked = self._signature()
