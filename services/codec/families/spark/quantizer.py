"""The semantic codebook search (FactorizedVQ, after Descript's audio codec): nearest by angle."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PREFIX = "quantizer"
PARTS = (f"{PREFIX}.in_project", f"{PREFIX}.codebook")


class CodebookSearch(nn.Module):
    """[N, latent] -> [N] int64: the code whose direction is nearest to the projected latent's, the first of equals."""

    def __init__(self, latent: int, codebook_size: int, codebook_dim: int) -> None:
        super().__init__()
        self.in_project = nn.Conv1d(latent, codebook_dim, 1)
        # Not nn.Embedding: it draws weights, which on the meta device imports torch's compiler: 60 MB, over a second.
        self.codebook = nn.ParameterDict({"weight": torch.empty(codebook_size, codebook_dim)})

    def forward(self, latents: Tensor) -> Tensor:
        queries = F.normalize(self.in_project(latents.T).T)
        codes = F.normalize(self.codebook["weight"])
        distance = queries.square().sum(1, keepdim=True) - 2 * queries @ codes.T + codes.square().sum(1)
        return torch.argmin(distance, dim=1)
