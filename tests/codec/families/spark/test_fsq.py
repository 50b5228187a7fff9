from math import prod

import pytest
import torch

from services.codec.families.spark.fsq import Fsq


@pytest.mark.parametrize("levels", [[4, 4, 4, 4], [5, 3, 2], [8], [7, 4]])
def test_every_code_is_the_rounding_of_its_own_point(levels: list[int]) -> None:
    """Dimension 0 counts fastest; even levels lie half a step below the middle (`offset`)."""
    fsq = Fsq(len(levels), levels)
    torch.nn.init.eye_(fsq.project_in.weight)
    torch.nn.init.zeros_(fsq.project_in.bias)
    codes = torch.arange(prod(levels))
    rest, points = codes, []
    for level in levels:
        half, offset = (level - 1) * 1.001 / 2, 0.0 if level % 2 else 0.5
        digit = (rest % level - level // 2).double()
        points.append(torch.atanh((digit + offset) / half) - torch.atanh(torch.tensor(offset / half)))
        rest = rest // level
    assert torch.equal(fsq(torch.stack(points, -1).float()), codes)
