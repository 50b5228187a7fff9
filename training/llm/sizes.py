"""How large the language model is."""

from dataclasses import dataclass

from transformers import Qwen2Config

from training.llm.vocabulary import CONTEXT, Vocabulary


@dataclass(frozen=True)
class LlmSizes:
    hidden: int = 320
    layers: int = 6
    heads: int = 5
    key_heads: int = 1
    inner: int = 704

    def config(self, vocabulary: Vocabulary) -> Qwen2Config:
        return Qwen2Config(
            vocab_size=len(vocabulary),
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            use_sliding_window=False,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            bos_token_id=None,
            eos_token_id=vocabulary.end,
            pad_token_id=vocabulary.pad,
        )


SIZES = {
    "small": LlmSizes(),
    "tiny": LlmSizes(hidden=64, layers=2, heads=2, key_heads=1, inner=128),
}
