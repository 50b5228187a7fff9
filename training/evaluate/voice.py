"""The exported voice, in this process: text to samples through the served family, tokenizer and detokenizer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, Qwen2ForCausalLM

from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.tokenizer import SparkTokenizer, SparkTokens
from services.contract.generation import VoiceInput
from services.contract.speaker import Speaker
from services.llm.families.family import Prompt
from services.llm.families.spark.family import SparkFamily
from services.runtime.errors import GenerationFailed
from training.evaluate.sound import Samples

_BATCH = 16


@dataclass(frozen=True)
class Said:
    """ended: whether the model itself ended; False also where it said nothing at all."""

    samples: Samples
    speaker: Speaker | None
    ended: bool


class ExportedVoice:
    def __init__(self, folder: Path, device: torch.device) -> None:
        self._device = device
        self._family = SparkFamily.load(folder)
        self._tokenizer = SparkTokenizer.load(folder, str(device))
        self._detokenizer = SparkDetokenizer.load(folder, str(device))
        with device:
            self._model = Qwen2ForCausalLM.from_pretrained(folder / "LLM", dtype=torch.float32).requires_grad_(False)
        engine = self._family.engine_model
        forbidden = torch.ones(engine.vocabulary, dtype=torch.bool, device=device)
        forbidden[list(engine.allowed)] = False
        self._forbidden = forbidden

    def tokens(self, samples: Samples) -> SparkTokens:
        return self._tokenizer.tokenize([samples.astype(np.float64)])[0]

    def reconstruct(self, samples: Samples) -> Samples:
        return self.decode(self.tokens(samples))

    def decode(self, tokens: SparkTokens) -> Samples:
        return self._detokenizer.decode(tokens.global_tokens, tokens.semantic_tokens)

    def d_vector(self, samples: Samples) -> NDArray[np.float32]:
        """Of the codec's own speaker encoder."""
        stream = self._detokenizer.open(self.tokens(samples).speaker)
        vector: NDArray[np.float32] = stream.d_vector.cpu().numpy()
        return vector

    def say(self, requests: Sequence[tuple[str, VoiceInput]], seed: int = 0) -> list[Said]:
        """Texts and voices, with the reference's sampling."""
        prompts = [self._family.prompt(text, voice) for text, voice in requests]
        order = sorted(range(len(prompts)), key=lambda index: prompts[index].limits.usual_most)
        torch.manual_seed(seed)
        said: dict[int, Said] = {}
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            outputs = self._generate([prompts[index] for index in batch])
            said.update((index, self._decode(prompts[index], ids)) for index, ids in zip(batch, outputs, strict=True))
        return [said[index] for index in range(len(prompts))]

    @torch.inference_mode()
    def _generate(self, prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        longest = max(len(prompt.ids) for prompt in prompts)
        stops = sorted(self._family.stop_ids)
        rows = [[stops[0]] * (longest - len(prompt.ids)) + list(prompt.ids) for prompt in prompts]
        masks = [[0] * (longest - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts]
        leasts = torch.tensor([prompt.limits.usual_least for prompt in prompts], device=self._device)
        # transformers types its mixin as another class's.
        generate: Callable[..., Tensor] = self._model.generate  # type: ignore[misc, assignment]
        generated = generate(
            torch.tensor(rows, device=self._device),
            attention_mask=torch.tensor(masks, device=self._device),
            do_sample=True,
            temperature=0.8,
            top_k=50,
            top_p=0.95,
            max_new_tokens=max(prompt.limits.usual_most for prompt in prompts),
            eos_token_id=stops,
            pad_token_id=stops[0],
            logits_processor=LogitsProcessorList([Bounds(self._forbidden, stops, longest, leasts)]),
        )
        for prompt, row in zip(prompts, generated[:, longest:].tolist(), strict=True):
            yield row[: prompt.limits.usual_most]

    def _decode(self, prompt: Prompt, ids: Sequence[int]) -> Said:
        end = next((place for place, token in enumerate(ids) if token in self._family.stop_ids), None)
        try:
            told = self._family.reader(prompt).read(ids[:end], last=True)
        except GenerationFailed:
            return Said(np.zeros(0, np.float32), None, ended=False)
        if told.frames is None:
            return Said(np.zeros(0, np.float32), told.speaker, ended=False)
        assert told.speaker is not None
        samples = self._detokenizer.decode(told.speaker.global_tokens, told.frames.codes)
        return Said(samples, told.speaker, end is not None)


class Bounds(LogitsProcessor):
    """Text is never drawn; no row stops before it has its least ids. prompt: the length of the prompts."""

    def __init__(self, forbidden: Tensor, stops: list[int], prompt: int, leasts: Tensor) -> None:
        self._forbidden, self._stops, self._prompt, self._leasts = forbidden, stops, prompt, leasts

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        # torch types what it returns as Tensor, transformers asks for FloatTensor.
        masked: torch.FloatTensor = scores.masked_fill(self._forbidden, -torch.inf)  # type: ignore[assignment]
        early = self._leasts > input_ids.shape[1] - self._prompt
        for stop in self._stops:
            masked[early, stop] = -torch.inf
        return masked
