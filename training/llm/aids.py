"""What helps the language model to learn where it is in the text; none of it is exported as such."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Qwen2Model
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2DecoderLayer, apply_rotary_pos_emb

from training.codec.phases import PLANES
from training.corpus.phones import PHONES
from training.llm.vocabulary import Vocabulary

# Characters to either side of the one being said that may be looked at.
_WINDOW = 1.6
# Deviation to begin with.
_COMMON = 0.02


class PhoneHead(nn.Module):
    """From the last state before a frame [N, H]: the phone of the frame, and the one that follows."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.present = nn.Linear(hidden, len(PHONES))
        self.following = nn.Linear(hidden, len(PHONES))


class Planes(nn.Module):
    """What the codes of one plane have in common, added to their embeddings while they are learnt."""

    which: Tensor

    def __init__(self, vocabulary: Vocabulary, hidden: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(PLANES, hidden) * _COMMON)
        which = torch.full((len(vocabulary),), PLANES)
        first = vocabulary.id("bicodec_semantic_0")
        which[first : first + vocabulary.semantic] = torch.arange(PLANES).repeat_interleave(vocabulary.contents)
        self.register_buffer("which", which, persistent=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """[V, H] -> [V, H]"""
        return embeddings + F.pad(self.rows, (0, 0, 0, 1))[self.which]


class GuidedAttention:
    """Watches the first head of some layers: it should look at the characters that are about to be said."""

    def __init__(self, model: Qwen2Model, layers: Sequence[int]) -> None:
        self._watched: list[tuple[Qwen2Attention, Tensor, tuple[Tensor, Tensor]]] = []
        for index in layers:
            layer = model.layers[index]
            assert isinstance(layer, Qwen2DecoderLayer)
            layer.self_attn.register_forward_pre_hook(self._watch, with_kwargs=True)

    def _watch(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if module.training:
            assert isinstance(module, Qwen2Attention)
            hidden = named["hidden_states"] if "hidden_states" in named else arguments[0]
            self._watched.append((module, hidden, named["position_embeddings"]))

    def loss(self, characters: Tensor, text: int) -> tuple[Tensor, Tensor]:
        """characters [B, S - 1] of the frame behind each id, below zero where there is none; `text`: the position of
        the first. Returns minus the logarithm of the attention to the right place, and the mean of that attention.
        """
        spoken = characters >= 0
        wanted = _windows(characters, text)[spoken]
        losses, shares = [], []
        for module, hidden, position in self._watched:
            logs = _attention(module, hidden, position)[:, :-1][spoken]
            # A finite filler: the gradient of a row without any finite place would not be a number.
            found = logs.masked_fill(~wanted, -1e4).logsumexp(-1)
            losses.append(-found.clamp(min=-12.0).mean())
            shares.append(found.detach().exp().mean())
        self._watched = []
        return torch.stack(losses).mean(), torch.stack(shares).mean()


def _windows(characters: Tensor, text: int) -> Tensor:
    """[B, S - 1] -> [B, S - 1, S]: which positions are near."""
    positions = torch.arange(characters.shape[1] + 1, device=characters.device) - text
    near = (positions - characters[:, :, None]).abs() <= _WINDOW
    return near & (positions >= 0)


def _attention(module: Qwen2Attention, hidden: Tensor, position: tuple[Tensor, Tensor]) -> Tensor:
    """[B, S, H] -> logarithms of the attention of the first head, [B, S, S]."""
    width = module.head_dim
    query, key = (
        F.linear(hidden, layer.weight[:width], layer.bias[:width])[:, None] for layer in (module.q_proj, module.k_proj)
    )
    query, key = apply_rotary_pos_emb(query, key, *position)
    scores = (query @ key.transpose(-1, -2))[:, 0].float() * width**-0.5
    ahead = torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).triu(1)
    logs: Tensor = scores.masked_fill(ahead, -torch.inf).log_softmax(-1)
    return logs


def cross_entropy(head: nn.Linear, states: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(head(states).float(), labels)
