"""The model card: what is known of the voice, from the files that its training left."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

from safetensors import safe_open

from services.codec.families.spark.config import SparkConfig
from training.corpus import shards
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.speakers import LEVELS, Cast
from training.corpus.utterance import SAMPLE_RATE
from training.loop import LOG, read_log

SPEECH = "speech.json"
HISTORY = "history.md"
"""What else there is to tell of how the voice was made; by hand."""
TEMPLATE = Path(__file__).parent / "card.md"
_STEPS = {
    "codec": ("codes and voices as spectra: codebook, prenet, speaker encoder", ("mel", "fine", "told")),
    "wave": ("waves: prenet and wave generator", ("mel", "linear")),
    "llm": ("language model", ("semantic", "right", "following")),
    "hearing": ("recordings as codes: wav2vec2, encoder", ("content", "right", "placed")),
    "phones": ("the ear", ("said",)),
}
_PARTS = {"wav2vec2": "wav2vec2-large-xlsr-53", "BiCodec": "BiCodec", "Qwen2": "LLM"}
_PERCENT = ("error", "right", "d_vector", "f0", "centroid", "most", "shared")


def card(voice: Path, out: Path, data: Path, characters: int) -> str:
    config = SparkConfig.read(voice)
    figures = json.loads((out / "figures.json").read_text("utf-8")) if (out / "figures.json").exists() else {}
    speaker, cast = config.codec.speaker_encoder, Cast.draw(PUPILS, HELD_OUT_SPEAKERS)
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        megabytes=f"{sum(file.stat().st_size for file in voice.rglob('*') if file.is_file()) / 1e6:.0f}",
        characters=characters,
        voices=(len(cast.teachers) + len(cast.pupils)) * LEVELS,
        hours=f"{_samples(data / 'train') / SAMPLE_RATE / 3600:.1f}",
        losses="\n".join(_losses(out)),
        history=_history(out / HISTORY),
        parts="\n".join(_parts(voice)),
        tokens=speaker.token_num,
        levels=speaker.codebook_size,
        reference=f"{config.audio.ref_segment_duration:g}",
        ear=_ear(figures),
        figures="\n".join(_figures(figures)) or "Not measured yet.",
        understood="\n".join(_understood(out / SPEECH)),
    )


def _history(file: Path) -> str:
    return f"\n{file.read_text('utf-8').strip()}\n" if file.exists() else ""


def _understood(file: Path) -> Iterator[str]:
    """What `python -m bench.speech --json` wrote."""
    if not file.exists():
        yield "Not measured yet."
        return
    yield "| voice | source | sentences | picked right | phone errors | WER | duration ratio |"
    yield "|---|---|---|---|---|---|---|"
    for row in json.loads(file.read_text("utf-8"))["figures"]:
        numbers = ("picked_right", "phone_error_rate", "word_error_rate", "duration_ratio")
        cells = [row["voice"], row["source"], str(row["sentences"]), *(f"{row[name]:.3f}" for name in numbers)]
        yield f"| {' | '.join(cells)} |"


def _samples(folder: Path) -> int:
    return sum(len(shards.samples(folder, number)) for number in shards.finished(folder))


def _losses(out: Path) -> Iterator[str]:
    yield "| step | steps, time | loss: first, last |"
    yield "|---|---|---|"
    for name, (what, losses) in _STEPS.items():
        if (out / name / LOG).exists():
            lines = read_log(out / name)
            first, last = lines[0], _mean(lines[-20:])
            changes = "; ".join(f"{loss} {first[loss]:.3g}, {last[loss]:.3g}" for loss in losses if loss in last)
            yield f"| {what} | {lines[-1]['step']:.0f}, {lines[-1]['seconds'] / 60:.0f} min | {changes} |"


def _mean(lines: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(line[name] for line in lines) / len(lines) for name in lines[-1] if name in lines[0]}


def _parts(voice: Path) -> Iterator[str]:
    codec = SparkConfig.read(voice).codec
    llm = json.loads((voice / "LLM" / "config.json").read_text("utf-8"))
    hearing = json.loads((voice / _PARTS["wav2vec2"] / "config.json").read_text("utf-8"))
    shapes = {
        "wav2vec2": f"hidden {hearing['hidden_size']}, {hearing['num_hidden_layers']} layers, seven convolutions",
        "BiCodec": f"codebook {codec.quantizer.codebook_size} x {codec.quantizer.codebook_dim}, latent "
        f"{codec.quantizer.input_dim}, generator of {codec.decoder.channels} channels",
        "Qwen2": f"hidden {llm['hidden_size']}, {llm['num_hidden_layers']} layers, {llm['num_attention_heads']} heads "
        f"({llm['num_key_value_heads']} for keys), vocabulary {llm['vocab_size']}",
    }
    for name, folder in _PARTS.items():
        file = voice / folder / "model.safetensors"
        yield f"| {name} | {shapes[name]} | {_parameters(file) / 1e6:.2f} M | {file.stat().st_size / 1e6:.1f} MB |"


def _parameters(file: Path) -> int:
    total = 0
    with safe_open(file, "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118
            count = 1
            for size in tensors.get_slice(name).get_shape():
                count *= size
            total += count
    return total


def _ear(figures: Mapping[str, Any]) -> str:
    return f"{100 * figures['ear']['phone_error_rate']:.1f} %" if "ear" in figures else "(not measured)"


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    for group, values in figures.items():
        if group != "ear":
            yield f"- {group.replace('_', ' ')}: " + ", ".join(_said(name, value) for name, value in values.items())


def _said(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if isinstance(value, list):
        return f"{words} {' '.join(f'{each:g}' for each in value)}"
    share = name.endswith(_PERCENT) or name.startswith(_PERCENT)
    return f"{words} {100 * value:.1f} %" if share else f"{words} {value:.3g}"
