"""The language model's training: what follows in the prompt's answer, and aids."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Qwen2ForCausalLM

from training.codec.phases import PLANES
from training.device import Compute
from training.llm.aids import GuidedAttention, PhoneHead, Planes, cross_entropy
from training.llm.batches import Batch
from training.loop import Figures
from training.optimiser import MeanWeights, Optimiser


class Stage:
    """One call is one step of the optimiser. `semantic`: the first id of a code, and the one behind the last."""

    def __init__(
        self,
        model: Qwen2ForCausalLM,
        phones: PhoneHead,
        planes: Planes,
        batches: Iterator[Batch],
        compute: Compute,
        semantic: tuple[int, int],
        rate: float,
    ) -> None:
        self._model, self._phones, self._planes = model, phones, planes
        self._batches, self._compute = batches, compute
        self._semantic = semantic
        count = model.config.num_hidden_layers
        self._attention = GuidedAttention(model.model, sorted({count // 3, count // 2}))
        self.optimiser = Optimiser([(model, rate), (phones, rate), (planes, rate)], beta=0.95, decay=0.05)
        self.mean = MeanWeights(model)

    def __call__(self, progress: float) -> Figures:
        batch = next(self._batches).to(self._compute.device)
        with self._compute.autocast():
            embeddings = self._planes(self._model.get_input_embeddings().weight)
            embedded = F.embedding(batch.ids, embeddings)
            states = self._model.model(inputs_embeds=embedded).last_hidden_state[:, :-1]
            learnt = batch.wanted >= 0
            wanted = batch.wanted[learnt]
            logits = F.linear(states[learnt], embeddings).float()
            losses = F.cross_entropy(logits, wanted, reduction="none")
            spoken = batch.phones >= 0
            present = cross_entropy(self._phones.present, states[spoken], batch.phones[spoken])
            following = cross_entropy(self._phones.following, states[spoken], batch.following[spoken])
            guided, looking = self._attention.loss(batch.characters, batch.text)
        aid = 1.0 - 0.7 * progress
        loss = losses.mean() + aid * (0.2 * present + following + 0.4 * guided)
        norm = self.optimiser.step(loss, progress)
        self.mean.update()
        figures = self._figures(losses.detach(), logits.detach(), wanted)
        return {**figures, "present": present, "following": following, "looking": looking, "norm": norm}

    @torch.no_grad()
    def _figures(self, losses: Tensor, logits: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """semantic: cross-entropy of the codes, plane: of their planes; right: how often the likeliest code is it."""
        first, last = self._semantic
        spoken = (wanted >= first) & (wanted < last)
        contents = (last - first) // PLANES
        planes = logits[spoken, first:last].view(-1, PLANES, contents).logsumexp(2)
        plane = F.cross_entropy(planes, (wanted[spoken] - first) // contents)
        codes = spoken.float()
        count = codes.sum().clamp(min=1)
        right = (logits.argmax(-1) == wanted).float()
        return {
            "loss": losses.mean(),
            "semantic": (losses * codes).sum() / count,
            "plane": plane,
            "others": (losses * (1 - codes)).sum() / (len(codes) - count).clamp(min=1),
            "right": (right * codes).sum() / count,
        }
