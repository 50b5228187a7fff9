"""Where a step computes, and how exactly."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Compute:
    """device, and the type that matrix products are computed in while training."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, name: str) -> "Compute":
        """`name`: auto, cuda, cpu, or cpu-bf16. On a CPU one thread: two are slower where others work too."""
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cuda":
            return cls(torch.device("cuda"), torch.bfloat16)
        torch.set_num_threads(1)
        return cls(torch.device("cpu"), torch.bfloat16 if name == "cpu-bf16" else torch.float32)

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def autocast(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)
