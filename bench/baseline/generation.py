"""transformers' `generate`, token by token, a batch of one for each request, as FlashTTS runs it: a thread for every
request, and one event loop that takes the tokens of a reply as they come and does nothing else meanwhile
(flashtts/llm/torch_generator.py).
"""

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from transformers import Qwen2ForCausalLM
from transformers.generation.streamers import BaseStreamer

from services.llm.sampling import ResolvedSampling

Ids = list[int]


class Generator:
    def __init__(self, directory: Path, stop_ids: frozenset[int]) -> None:
        # Its methods are typed for no caller.
        self._qwen2: Any = Qwen2ForCausalLM.from_pretrained(directory, dtype="auto")
        self._stop_ids = sorted(stop_ids)

    def generate(self, prompt: tuple[int, ...], sampling: ResolvedSampling) -> Iterator[Ids]:
        """Blocks until each token comes, while the thread draws on."""
        streamer = _Streamer()
        Thread(target=self._draw, args=(prompt, sampling, streamer), daemon=True).start()
        while (ids := streamer.drawn.get()) is not None:
            yield ids

    def _draw(self, prompt: tuple[int, ...], sampling: ResolvedSampling, streamer: "_Streamer") -> None:
        ids = torch.tensor([prompt])
        try:
            self._qwen2.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                streamer=streamer,
                do_sample=True,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                max_new_tokens=sampling.max_tokens,
                min_new_tokens=sampling.min_tokens,
                eos_token_id=self._stop_ids,
                pad_token_id=self._stop_ids[0],
            )
        finally:
            streamer.drawn.put(None)


class _Streamer(BaseStreamer):
    """`drawn`: ids, then None. The first that `generate` puts is the prompt."""

    def __init__(self) -> None:
        self.drawn: SimpleQueue[Ids | None] = SimpleQueue()
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if self._prompt_seen:
            self.drawn.put(value.flatten().tolist())
        self._prompt_seen = True

    def end(self) -> None:
        """The thread says so, also when it fails."""
