"""Spark-TTS-0.5B as it was published: 507 M parameters of the LLM, 156 M of BiCodec, 315 M of wav2vec2."""

from bench.shape.shape import Shape

_VOCOS = {"vocos_dim": 384, "vocos_intermediate_dim": 2048, "vocos_num_layers": 12, "sample_ratios": [1, 1]}

_CODEC = {
    "mel_params": {
        "sample_rate": 16_000,
        "n_fft": 1024,
        "win_length": 640,
        "hop_length": 320,
        "mel_fmin": 10,
        "mel_fmax": None,
        "num_mels": 128,
    },
    "encoder": {"input_channels": 1024, "out_channels": 1024, **_VOCOS},
    "decoder": {"input_channel": 1024, "channels": 1536, "rates": [8, 5, 4, 2], "kernel_sizes": [16, 11, 8, 4]},
    "quantizer": {"input_dim": 1024, "codebook_size": 8192, "codebook_dim": 8},
    "speaker_encoder": {
        "input_dim": 128,
        "out_dim": 1024,
        "latent_dim": 128,
        "token_num": 32,
        "fsq_levels": [4, 4, 4, 4, 4, 4],
        "fsq_num_quantizers": 1,
    },
    "prenet": {"input_channels": 1024, "out_channels": 1024, "condition_dim": 1024, **_VOCOS},
}

_LLM = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 166_000,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}

_WAV2VEC2 = {
    "model_type": "wav2vec2",
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}

_AUDIO = {
    "sample_rate": 16_000,
    "latent_hop_length": 320,
    "ref_segment_duration": 6,
    "volume_normalize": True,
}

HALF_BILLION = Shape("0.5b", _AUDIO, _CODEC, _LLM, _WAV2VEC2, first_added=151_643)
SHAPES = {HALF_BILLION.name: HALF_BILLION}
