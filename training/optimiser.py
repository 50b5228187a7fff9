"""The optimiser that every step uses, and a running mean of the weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Optimiser:
    """AdamW with warm-up and a cosine to a twentieth, by the progress of the step.

    modules: each with its highest learning rate. The gradients of each are clipped by themselves: one that runs wild
    does not stop the others.
    """

    def __init__(self, modules: Sequence[tuple[nn.Module, float]], *, beta: float = 0.98, decay: float = 0.01) -> None:
        self._groups = [[each for each in module.parameters() if each.requires_grad] for module, _ in modules]
        self._rates = [rate for _, rate in modules]
        fused = self._groups[0][0].is_cuda
        groups = [{"params": group} for group in self._groups]
        self.adam = torch.optim.AdamW(groups, betas=(0.9, beta), weight_decay=decay, fused=fused)

    def step(self, loss: Tensor, progress: float, *, clip: float = 1.0) -> Tensor:
        """Returns the largest of the modules' norms."""
        for group, rate in zip(self.adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * schedule(progress)
        self.adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norms = [nn.utils.clip_grad_norm_(group, clip) for group in self._groups]
        self.adam.step()
        return torch.stack(norms).max()

    def state_dict(self) -> dict[str, object]:
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.adam.load_state_dict(state)


def schedule(progress: float, warm_up: float = 0.02, floor: float = 0.05) -> float:
    """Factor of the learning rate."""
    if progress < warm_up:
        return max(progress / warm_up, 0.01)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class MeanWeights:
    """An exponential mean of a module's weights: smoother than the last step's."""

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self._module, self._decay, self._updates = module, decay, 0
        self.mean = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """The first updates weigh more, so that the start is soon forgotten."""
        self._updates += 1
        weight = 1 - min(self._decay, self._updates / (self._updates + 9))
        for name, value in self._module.state_dict().items():
            mean = self.mean[name]
            if value.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)

    def state_dict(self) -> dict[str, object]:
        return {"mean": self.mean, "updates": self._updates}

    def load_state_dict(self, state: dict[str, object]) -> None:
        mean, updates = state["mean"], state["updates"]
        assert isinstance(mean, dict)
        assert isinstance(updates, int)
        for name, value in mean.items():
            self.mean[name].copy_(value)
        self._updates = updates
