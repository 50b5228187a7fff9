"""What the language model is shown: the prompts that the LLM service sends, and what should follow them."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM, Qwen2Model

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.families.spark import SparkSpeaker
from services.llm.families.spark.prompts import Codebooks, SparkPrompts
from services.llm.families.spark.reader import Alphabet, SparkReader
from services.llm.families.spark.text import SparkTokenizer
from services.llm.families.spark.tokens import GLOBAL, SEMANTIC, TokenTable
from training.codec.phases import PLANES
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.phones import INDEX
from training.corpus.speakers import Cast
from training.export import llm as exported
from training.frames import HOP
from training.llm.aids import GuidedAttention, Planes
from training.llm.batches import Batches, collate
from training.llm.examples import Draft, Example, Examples
from training.llm.sizes import SIZES
from training.llm.spoken import Spoken
from training.llm.vocabulary import END, Vocabulary, encode, write
from training.tokens.store import Tokens

CODES, GLOBALS = 700, 4


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(semantic=700, globals_=16)


@pytest.fixture(scope="module")
def folder(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write(folder, vocabulary)
    return folder


@pytest.fixture
def tokens(corpus: Corpus) -> Tokens:
    """The content of a frame is its number, as far as there are contents."""
    frames = [(each.samples - 400) // HOP + 1 for each in corpus.utterances]
    contents = [(np.arange(count) % (CODES // PLANES)).astype(np.uint16) for count in frames]
    return Tokens(contents, np.full((len(contents), GLOBALS), 7, np.uint16))


@pytest.fixture
def drawn(corpus: Corpus, tokens: Tokens, vocabulary: Vocabulary) -> list[Example]:
    examples = Examples(corpus, tokens, vocabulary, Cast.draw(PUPILS, HELD_OUT_SPEAKERS))
    draws = np.random.default_rng(0)
    return [examples.draw(draws) for _ in range(60)]


@pytest.mark.parametrize("text", ["Hello, World!", "don't stop  now?", "twenty-one: 21%"])
def test_text_is_encoded_as_it_is_served(folder: Path, text: str) -> None:
    assert list(SparkTokenizer(folder / "tokenizer.json").encode(text)) == encode(text)


def test_transformers_reads_the_tokenizer(folder: Path, vocabulary: Vocabulary) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == len(vocabulary)
    prompt = "<|task_tts|><|start_content|>Hi there<|end_content|><|start_global_token|><|bicodec_global_3|>"
    ids = tokenizer(prompt).input_ids
    assert ids == [
        *(vocabulary.id(name) for name in ("task_tts", "start_content")),
        *encode("Hi there"),
        *(vocabulary.id(name) for name in ("end_content", "start_global_token", "bicodec_global_3")),
    ]
    assert tokenizer.eos_token_id == vocabulary.end
    # The reference reads the codes off the text.
    assert tokenizer.decode([vocabulary.id("bicodec_semantic_5")], skip_special_tokens=True) == "<|bicodec_semantic_5|>"


def test_bytes_beyond_ascii_survive(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "naïve 日本 € ok"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.encode(text).ids == list(text.encode())


def prompts(folder: Path, vocabulary: Vocabulary) -> SparkPrompts:
    table = TokenTable(SparkTokenizer(folder / "tokenizer.json").added)
    return SparkPrompts(table, Codebooks(table.codes(SEMANTIC, 700), table.codes(GLOBAL, 16)))


def test_examples_begin_with_the_prompts_that_are_sent(
    folder: Path, vocabulary: Vocabulary, drawn: list[Example]
) -> None:
    """What is before the first learnt id is a prompt as the service makes it."""
    sent, kinds = prompts(folder, vocabulary), set()
    for example in drawn:
        begin = int(example.learnt.argmax())
        prompt = tuple(example.ids[:begin].tolist())
        text = tuple(example.ids[2 : list(example.ids).index(vocabulary.id("end_content"))].tolist())
        kinds.add(int(prompt[0]))
        if prompt[0] == vocabulary.id("task_tts"):
            assert prompt == sent.clone(text, (7,) * GLOBALS)
        else:
            designs = (DesignedVoice(gender, pitch, speed) for gender in Gender for pitch in Level for speed in Level)
            assert prompt in {sent.design(text, design) for design in designs}
    assert len(kinds) == 2


def test_a_share_of_the_examples_begin_with_what_is_written_short(
    corpus: Corpus, tokens: Tokens, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.llm.examples._SHORT_SHARE", 1.0)
    examples = Examples(corpus, tokens, vocabulary, Cast.draw(PUPILS, HELD_OUT_SPEAKERS))
    draws, short = np.random.default_rng(0), encode("Dr. Wilson has 23")
    designed = [
        example
        for example in (examples.draw(draws) for _ in range(40))
        if example.ids[0] == vocabulary.id("task_controllable_tts")
    ]
    assert designed
    assert all(example.ids[example.text :][: len(short)].tolist() == short for example in designed)


def test_what_is_learnt_is_read_as_a_speaker_and_codes(vocabulary: Vocabulary, drawn: list[Example]) -> None:
    first, first_global = vocabulary.id("bicodec_semantic_0"), vocabulary.id("bicodec_global_0")
    alphabet = Alphabet(
        {first + code: code for code in range(700)},
        {first_global + code: code for code in range(16)},
        vocabulary.id("end_global_token"),
        GLOBALS,
    )
    for example in drawn:
        assert example.ids[-1] == vocabulary.end
        assert example.ids[-2] == vocabulary.id("end_semantic_token")
        designed = example.ids[0] == vocabulary.id("task_controllable_tts")
        learnt = example.ids[example.learnt].tolist()
        if designed:
            told = SparkReader(alphabet, None).read(learnt[:-2], last=True)
            assert told.speaker is not None
            assert told.frames is not None
            speaker = SparkSpeaker.of(told.speaker, "speaker")
            assert speaker.global_tokens == (7,) * GLOBALS
            assert speaker.style_tokens[-1] == vocabulary.id("start_global_token")
            assert [code % vocabulary.contents for code in told.frames.codes[:5]] == [0, 1, 2, 3, 4]


def test_frames_know_where_in_the_text_they_are(corpus: Corpus, tokens: Tokens) -> None:
    index = next(index for index, each in enumerate(corpus.utterances) if each.text.startswith("the captain"))
    utterance = corpus.utterances[index]
    spoken = Spoken.of(utterance, tokens.contents[index].astype(np.int64), corpus.pitches[index])
    assert len(spoken.contents) == len(spoken.f0) == len(spoken.phones) == len(spoken.characters)
    assert (np.diff(spoken.characters) >= 0).all()
    assert spoken.characters[-1] == len(utterance.text) - 1
    at = {utterance.text[round(float(place))] for place in spoken.characters[spoken.phones == INDEX["S"]]}
    assert at <= set("f ship")
    double = spoken.spaced() + spoken
    assert len(double.text) == 2 * len(spoken.text) + 1
    assert double.characters[len(spoken.contents)] == len(spoken.text) + 1 + spoken.characters[0]


def test_planes_turn_at_the_speed_of_the_pitch() -> None:
    """A quarter of a period a frame for each 12.5 Hz; without voice there is no turning."""
    f0 = np.repeat(np.array([0, 112, 0, 200, 0], np.float32), 40)
    frames = np.zeros(len(f0), np.int64)
    spoken = Spoken(frames[:1], frames, f0, frames, frames, f0)
    for seed in range(5):
        planes = spoken.planes(1.0, np.random.default_rng(seed))
        assert np.array_equal(planes > 0, f0 > 0)
        assert set(np.diff(planes[50:70]) % 4) == {9 % 4}
        assert set(np.diff(planes[135:155]) % 4) == {16 % 4}
        assert set(np.diff(spoken.planes(1.06, np.random.default_rng(seed))[135:155]) % 4) == {17 % 4}
    begins = {int(spoken.planes(1.0, np.random.default_rng(seed))[40]) for seed in range(40)}
    assert begins == {1, 2, 3, 4}


def test_codes_of_a_plane_share_a_part_of_their_embeddings(vocabulary: Vocabulary) -> None:
    planes, embeddings = Planes(vocabulary, 8), torch.randn(len(vocabulary), 8)
    added = (planes(embeddings) - embeddings).detach()
    first, count = vocabulary.id("bicodec_semantic_0"), vocabulary.contents
    for plane in range(PLANES):
        rows = added[first + plane * count : first + (plane + 1) * count]
        assert torch.allclose(rows, planes.rows[plane].expand_as(rows), atol=1e-6)
    others = torch.cat([added[:first], added[first + vocabulary.semantic :]])
    assert not others.any()


def test_what_follows_a_phone_is_the_next_one(corpus: Corpus, tokens: Tokens) -> None:
    spoken = Spoken.of(corpus.utterances[0], tokens.contents[0].astype(np.int64), corpus.pitches[0])
    changes = np.flatnonzero(np.diff(spoken.phones))
    right = [spoken.following[place] == spoken.phones[place + 1] for place in changes]
    # A phone may be shorter than a frame.
    assert np.mean(right) > 0.9


def test_batches_hold_what_fits_and_pad_the_rest(corpus: Corpus, tokens: Tokens, vocabulary: Vocabulary) -> None:
    examples = Examples(corpus, tokens, vocabulary, Cast.draw(PUPILS, HELD_OUT_SPEAKERS))
    for batch in islice(Batches(examples, vocabulary.pad, 2000, (0,)), 15):
        assert batch.ids.numel() <= 2000 or len(batch.ids) == 1
        assert batch.wanted.shape == batch.phones.shape == (len(batch.ids), batch.ids.shape[1] - 1)
        learnt = batch.wanted >= 0
        assert torch.equal(batch.wanted[learnt], batch.ids[:, 1:][learnt])
        assert not (batch.ids[:, 1:][learnt] == vocabulary.pad).any()
        assert learnt.sum(1).min() > 20
        semantic = batch.ids[:, 1:] - vocabulary.id("bicodec_semantic_0")
        codes = (semantic >= 0) & (semantic < 700)
        assert torch.equal(codes, batch.phones >= 0)
        assert torch.equal(codes, batch.characters >= 0)


def test_guided_attention_is_what_the_model_attends_to() -> None:
    """Beside the model's own attention: the share of the first head that lies on the marked characters."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    config._attn_implementation = "eager"
    model = Qwen2Model(config).train()
    guided = GuidedAttention(model, [1])
    ids = torch.randint(50, (2, 20))
    weights = model(ids, output_attentions=True).attentions[1][:, 0]
    characters = torch.full((2, 19), -1.0)
    characters[:, 12:] = torch.arange(7) * 0.5
    loss, share = guided.loss(characters, text=2)
    expected = []
    for row in range(2):
        for place in range(12, 19):
            near = [2 + at for at in range(10) if abs(at - characters[row, place].item()) <= 1.6]
            expected.append(weights[row, place, near].sum())
    assert share.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)
    assert loss.item() == pytest.approx(-torch.stack(expected).log().mean().item(), rel=1e-4)
    torch.autograd.backward(loss)
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_exported_model_answers_as_the_trained_one(folder: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = SIZES["tiny"]
    model = Qwen2ForCausalLM(sizes.config(vocabulary))
    exported.write(tmp_path, sizes, vocabulary, model.state_dict())
    loaded = Qwen2ForCausalLM.from_pretrained(tmp_path / "LLM", dtype=torch.float32)
    ids = torch.randint(len(vocabulary), (1, 12))
    with torch.no_grad():
        difference = (model(ids).logits - loaded(ids).logits).abs().max()
    assert difference < 0.02
    assert loaded.config.eos_token_id == vocabulary.ids[END]
    assert loaded.lm_head.weight.data_ptr() == loaded.model.embed_tokens.weight.data_ptr()


def test_a_draft_marks_its_frames(vocabulary: Vocabulary) -> None:
    frames = np.arange(3)
    pitch, characters = np.zeros(3, np.float32), np.array([0, 0.5, 1], np.float32)
    spoken = Spoken(np.array(encode("ab")), frames, pitch, frames + 5, frames + 6, characters)
    draft = Draft(vocabulary)
    draft.put_content("task_tts", spoken.text)
    draft.put_codes(spoken, np.zeros(3, np.int64))
    example = draft.example()
    assert example.ids[example.phones >= 0].tolist() == [vocabulary.id(f"bicodec_semantic_{code}") for code in frames]
    assert example.phones[example.phones >= 0].tolist() == [5, 6, 7]
    batch = collate([example], vocabulary.pad)
    assert batch.wanted[0][batch.wanted[0] >= 0].tolist() == example.ids[example.learnt].tolist()
