"""What instructions change of a designed voice: what they clearly ask for, and nothing else."""

import pytest

from services.contract.design import Gender, Level
from services.gateway.request import Style
from services.gateway.rest.openai.instructions import style_of

LOW, VERY_LOW, HIGH, VERY_HIGH = Level.LOW, Level.VERY_LOW, Level.HIGH, Level.VERY_HIGH
MODERATE = Level.MODERATE
MALE, FEMALE = Gender.MALE, Gender.FEMALE


def levels(pitch: Level | None = None, speed: Level | None = None) -> Style:
    return Style(pitch=pitch, speed=speed)


ASKED = {
    # Verbs of speaking.
    "Speak slowly": levels(speed=LOW),
    "Please talk very fast.": levels(speed=VERY_HIGH),
    "Could you read this a bit slower, please?": levels(speed=LOW),
    "I'd like you to speak more quickly": levels(speed=HIGH),
    "Read the poem slowly and clearly.": levels(speed=LOW),
    "Speak clearly, warmly and slowly.": levels(speed=LOW),
    "You should speak at a slow pace": levels(speed=LOW),
    "Talk at an extremely fast rate of speech": levels(speed=VERY_HIGH),
    "Speak to the audience slowly.": levels(speed=LOW),
    "Be calm and speak slowly.": levels(speed=LOW),
    "Read this story about a farmer, slowly.": levels(speed=LOW),
    "Speak at a normal pace.": levels(speed=MODERATE),
    "Don't shout, speak slowly.": levels(speed=LOW),
    "Speak as fast as possible": levels(speed=HIGH),
    "Slow down a bit, please.": levels(speed=LOW),
    "Speed it up": levels(speed=HIGH),
    "Lower your pitch.": levels(pitch=LOW),
    "Raise the pitch a little": levels(pitch=HIGH),
    "Increase the tempo": levels(speed=HIGH),
    "Sound deeper": levels(pitch=LOW),
    "Speak in a deep, warm voice.": levels(pitch=LOW),
    "Speak in a warm deep voice": levels(pitch=LOW),
    "Talk in a very high-pitched voice": levels(pitch=VERY_HIGH),
    "Use a low pitch and a fast pace": levels(LOW, HIGH),
    "Talk like a fast-talking auctioneer": levels(speed=HIGH),
    "In a deep voice, read the following poem about a woman.": levels(pitch=LOW),
    "Act like a fast-talking salesman": levels(speed=HIGH),
    "Read in a slow and clear manner for language learners": levels(speed=LOW),
    "Speak slowly: this is for language learners.": levels(speed=LOW),
    # Phrases without a verb.
    "A low voice, extremely slowly": levels(LOW, VERY_LOW),
    "slower": levels(speed=LOW),
    "SLOWLY!!": levels(speed=LOW),
    "faster please": levels(speed=HIGH),
    "slow and steady": levels(speed=LOW),
    "With a slow, deliberate cadence": levels(speed=LOW),
    "fast-paced": levels(speed=HIGH),
    # Statements about the voice, and lists with headings.
    "The pitch is low.": levels(pitch=LOW),
    "Your voice should be deep": levels(pitch=LOW),
    "Keep the pace slow.": levels(speed=LOW),
    "Set the speed to fast": levels(speed=HIGH),
    "pitch=high; speed=low": levels(HIGH, LOW),
    "Voice Affect: Low, hushed, and suspenseful.\n\nTone: Deeply serious.\n\nPacing: Slow, deliberate": levels(
        LOW, LOW
    ),
    "Voice: warm and upbeat.\nDelivery: fast and energetic, with high energy.": levels(speed=HIGH),
    "gender: female, pitch: very high, speed: moderate": Style(FEMALE, VERY_HIGH, MODERATE),
    # Who speaks.
    "a deep male voice": Style(MALE, LOW),
    "Speak slowly in a deep male voice.": Style(MALE, LOW, LOW),
    "Use a young female voice.": Style(FEMALE),
    "A woman, talking VERY fast, high-pitched": Style(FEMALE, HIGH, VERY_HIGH),
    "Speak like an old man.": Style(MALE),
    "Speak like a woman who greets an old man.": Style(FEMALE),
    "You are a woman in her thirties": Style(FEMALE),
    "You're an old man telling a story about a girl": Style(MALE),
    "Read it as if you were a woman": Style(FEMALE),
    "The narrator is a man with a deep voice": Style(MALE, LOW),
    "a woman's voice": Style(FEMALE),
    "Sound more feminine": Style(FEMALE),
    "Use a deep, resonant male voice with a British accent": Style(MALE, LOW),
    "You are an elderly woman speaking slowly": Style(FEMALE, speed=LOW),
    "Voice: a warm, elderly gentleman": Style(MALE),
    "female": Style(FEMALE),
    # What is set against something else.
    "Not fast but slow.": levels(speed=LOW),
    "Not a woman, a man.": Style(MALE),
    "Speak slowly rather than fast.": levels(speed=LOW),
    "Speak slowly, not fast.": levels(speed=LOW),
}

NOT_ASKED = {
    "negation": [
        "Not a woman.",
        "Don't speak too fast",
        "Don\N{RIGHT SINGLE QUOTATION MARK}t be slow",
        "never very fast",
        "Do not use a deep voice.",
        "dont talk slowly",
        "Without a high pitch",
        "Avoid a slow pace, a deep voice.",
        "You are neither a man nor a woman.",
        "You are not a woman",
        "No deep voice please",
        "There is no need to speak slowly.",
        "Stop talking so fast!",
        "Your voice should not be deep",
        "pitch: not high",
        "Nothing too deep",
        "This was too fast",
        "No faster than usual",
        "Less slowly",
        "Everything but slow",
        "anything except a deep voice",
        "Sound nothing like a woman",
    ],
    "other persons": [
        "a story about an old man",
        "greets a woman",
        "Speak like a friendly shop assistant who greets a woman.",
        "Speak like a shop assistant greeting a woman.",
        "You are talking to an elderly lady; be patient.",
        "The listener is a woman",
        "Address the female audience warmly.",
        "For a male audience, be friendly.",
        "He speaks slowly.",
        "The customer has a deep voice",
        "I am a woman",
        "My grandmother talks fast",
        "Explain it to a boy",
        "You are a nurse caring for an old man",
        "Imagine a singer with a deep voice",
        "Read the letter of a man to his wife",
        "Tell the story of a farmer, an old man, and his barn.",
        "An old man sat by the river, slowly eating an apple",
        "A man with a deep voice walks in",
        "A man, a woman and a child walk into a bar",
        "A man and a woman",
        "Read about a tortoise walking slowly",
        "Listener: woman",
        "Customer gender: male",
        "With a deep voice, the man says hello.",
        "Describe how trains go fast",
        "Speak to a man with a deep voice",
        "Talk about people who speak slowly",
        "Man, this is fun!",
        "Talk to your grandfather, an old man",
        "Voice: like a lady speaking to her neighbour, a man",
        "Speak as if you were talking to a little girl",
        "Target group: men",
        "Breakfast news for humans, with high spirits",
    ],
    "quoted text": [
        'Say "speak slowly" in a friendly way',
        "The word 'slowly' is important",
        "Emphasise \N{LEFT DOUBLE QUOTATION MARK}in a deep voice\N{RIGHT DOUBLE QUOTATION MARK}",
        "Read: the train moves slowly",
        "Stress the words `very fast`.",
        "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}A male voice\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}",
    ],
    "compounds": [
        "fast-food",
        "Like an ad for fast food",
        "Read it like a fast-food commercial",
        "a slow-motion scene",
        "high-energy tone",
        "with high energy",
        "in a high energy voice",
        "a man-made world",
        "like a girl scout leader",
        "Speak like a lady's maid",
        "deep-fried",
        "a quick-witted host",
        "You are a man-eating tiger",
    ],
    "idioms": [
        "in a low-key way",
        "It is high time to be cheerful.",
        "Take a deep breath",
        "deeply moved",
        "with deep sadness",
        "lower your voice",
        "Hold fast to the script.",
        "highly formal, quickly understood",
        "In the deep end",
        "a slow burn of a joke",
        "Be a man!",
        "You're the man!",
        "Speak deep truths",
        "Quickly summarise the news",
        "Slow and steady wins the race",
        "slowly but surely",
        "quick as a flash",
    ],
    "a part of the text only, or two ways at once": [
        "Start slowly, then get faster.",
        "Speak slowly when you read numbers",
        "If the text is sad, use a deep voice.",
        "Slow down at the end",
        "Gradually speak faster",
        "slow fast",
        "Speak slowly. Speak fast.",
        "Use a male voice or a female voice",
    ],
    "other words": [
        "",
        "Speak in a cheerful and positive tone.",
        "In a normal voice",
        "Tone: high energy",
        "Accent: deep south",
        "Emotion: deep sadness",
        "\N{CJK UNIFIED IDEOGRAPH-6162}",
    ],
}


@pytest.mark.parametrize(("instructions", "style"), ASKED.items(), ids=str)
def test_what_is_clearly_asked_for_is_found(instructions, style):
    assert style_of(instructions) == style


@pytest.mark.parametrize(
    "instructions", [text for texts in NOT_ASKED.values() for text in texts], ids=lambda text: text or "nothing"
)
def test_all_other_words_change_nothing(instructions):
    assert style_of(instructions) == Style()
