import torch

from services.codec.families.spark.quantizer import CodebookSearch


def search(codebook: list[list[float]]) -> CodebookSearch:
    module = CodebookSearch(2, len(codebook), 2)
    with torch.no_grad():
        module.in_project.weight.copy_(torch.eye(2)[:, :, None])
        module.in_project.bias.zero_()
        module.codebook.weight.copy_(torch.tensor(codebook))
    return module


def test_the_nearest_direction_wins_whatever_its_length() -> None:
    codes = search([[100.0, 1.0], [0.0, 0.01], [-1.0, -1.0]])
    assert codes(torch.tensor([[0.1, 5.0], [1.0, 0.0], [-9.0, -8.0]])).tolist() == [1, 0, 2]


def test_the_first_of_equals_wins() -> None:
    assert search([[0.0, 1.0], [2.0, 0.0], [2.0, 0.0]])(torch.tensor([[1.0, 0.0]])).tolist() == [1]
