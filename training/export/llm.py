"""LLM/: config, weights in bfloat16, tokenizer."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.llm.sizes import LlmSizes
from training.llm.vocabulary import Vocabulary
from training.llm.vocabulary import write as write_tokenizer

FOLDER = "LLM"
_TIED = "lm_head.weight"


def write(voice: Path, sizes: LlmSizes, vocabulary: Vocabulary, tensors: Mapping[str, Tensor]) -> None:
    folder = voice / FOLDER
    write_tokenizer(folder, vocabulary)
    config = sizes.config(vocabulary).to_dict()
    # transformers 4 reads rope_theta and torch_dtype, 5 rope_parameters and dtype.
    config |= {"architectures": ["Qwen2ForCausalLM"], "rope_theta": config["rope_parameters"]["rope_theta"]}
    config |= {"dtype": "bfloat16", "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    generation = {"eos_token_id": vocabulary.end, "pad_token_id": vocabulary.pad}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n", encoding="utf-8")
    halves = {name: tensor.detach().cpu().to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
    halves.pop(_TIED, None)
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
