"""The fused Snake is the served one, and has its gradients."""

import torch
from torch import Tensor

from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.snake import Snake
from training.wave.snake import fuse


def test_the_fused_snake_is_the_plain_one() -> None:
    torch.manual_seed(0)
    plain, fused = Snake(3), Snake(3)
    for snake in (plain, fused):
        snake.alpha.copy_(torch.tensor([0.3, 1.0, 2.5])[None, :, None])
        snake.requires_grad_(True)
    fuse(fused)
    x, weights = torch.randn(2, 3, 40), torch.randn(2, 3, 40)
    made, wanted = _gradients(fused, x, weights), _gradients(plain, x, weights)
    for ours, theirs in zip(made, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def _gradients(snake: Snake, x: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """Outputs, and the gradients of a sum of them."""
    x = x.clone().requires_grad_(True)
    outputs = torch.addcdiv(x, (x * snake.alpha).sin().square(), snake.alpha + 1e-9)
    if type(snake) is not Snake:
        outputs = snake(Frames.whole(x)).x
    outputs.mul(weights).sum().backward()
    assert x.grad is not None
    assert snake.alpha.grad is not None
    return outputs.detach(), x.grad, snake.alpha.grad
