"""Steps that stop, go on, and know how far they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from training.budget import Budget
from training.loop import CHECKPOINT, Figures, Loop, read_log
from training.optimiser import MeanWeights, Optimiser, schedule
from training.options import Options
from training.prefetch import ahead


class Counting:
    """A step that counts itself."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, progress: float) -> Figures:
        self.count += 1
        return {"count": float(self.count), "progress": torch.tensor(progress)}

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


def options(folder: Path, *more: str) -> Options:
    return Options.parse(None, ["--out", str(folder), *more])


def test_a_run_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    assert Loop.resume("step", options(tmp_path, "--steps", "20")).run(first, {"counting": first})
    assert Loop.resume("step", options(tmp_path, "--steps", "50")).run(second, {"counting": second})
    assert (first.count, second.count) == (20, 50)
    assert [line["step"] for line in read_log(tmp_path / "step")] == [10, 20, 30, 40, 50]


def test_a_session_ends_before_the_step_is_done(tmp_path: Path) -> None:
    step = Counting()
    assert not Loop.resume("step", options(tmp_path, "--session", "0.001")).run(step, {"counting": step})
    assert (tmp_path / "step" / CHECKPOINT).exists()


def test_draws_of_a_later_run_are_others(tmp_path: Path) -> None:
    step = Counting()
    loop = Loop.resume("step", options(tmp_path, "--steps", "10"))
    before = loop.seed
    loop.run(step, {"counting": step})
    assert Loop.resume("step", options(tmp_path)).seed != before


def test_progress_is_by_steps_or_by_time_whichever_is_further() -> None:
    budget = Budget(minutes=1.0, steps=10)
    budget.step = 5
    assert budget.progress == 0.5
    budget.before = 45.0
    assert 0.75 <= budget.progress < 0.8
    budget.before = 61.0
    assert budget.done


def test_the_rate_warms_up_and_falls() -> None:
    rates = [schedule(share / 100) for share in range(101)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[0] < 0.05
    assert rates[-1] == pytest.approx(0.05)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_one_wild_module_does_not_stop_another() -> None:
    """Clipped together, the calm module's step would be a millionth."""
    calm, wild = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    optimiser = Optimiser([(calm, 0.1), (wild, 0.1)], decay=0.0)
    before = calm.weight.item()
    for _ in range(3):
        loss = calm.weight.sum() + 1e6 * wild.weight.sum() * torch.rand(())
        optimiser.step(loss, 0.1)
    assert before - calm.weight.item() > 0.2


def test_the_mean_of_weights_forgets_its_start() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 100.0)
    mean = MeanWeights(module, decay=0.99)
    nn.init.constant_(module.weight, 1.0)
    for _ in range(400):
        mean.update()
    assert mean.mean["weight"].item() == pytest.approx(1.0, abs=0.01)
    assert module.weight.item() == 1.0


def test_the_mean_of_weights_survives_a_checkpoint() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    one, two = MeanWeights(first), MeanWeights(second)
    two.load_state_dict(one.state_dict())
    assert all(torch.equal(one.mean[name], two.mean[name]) for name in one.mean)


def test_what_fails_ahead_fails_here() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    made = ahead(items(), 2)
    assert next(made) == 1
    with pytest.raises(LookupError, match="no more"):
        next(made)
