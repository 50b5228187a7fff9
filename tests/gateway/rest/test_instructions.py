"""What instructions say about a designed voice."""

import pytest

from services.gateway.request import Gender, Level, Style
from services.gateway.rest.openai.instructions import style_of


@pytest.mark.parametrize(
    ("instructions", "style"),
    [
        ("", Style()),
        ("Speak in a cheerful and positive tone.", Style()),
        ("Speak slowly in a deep male voice.", Style(Gender.MALE, Level.LOW, Level.LOW)),
        ("A woman, talking VERY fast, high-pitched", Style(Gender.FEMALE, Level.HIGH, Level.VERY_HIGH)),
        (
            "gender: female, pitch: very high, speed: moderate",
            Style(Gender.FEMALE, Level.VERY_HIGH, Level.MODERATE),
        ),
        ("A low voice, extremely slowly", Style(pitch=Level.LOW, speed=Level.VERY_LOW)),
        ("The pitch is low.", Style(pitch=Level.LOW)),
        ("Don't speak too fast", Style()),
        ("Don\N{RIGHT SINGLE QUOTATION MARK}t be slow", Style()),
        ("never very fast", Style()),
        ("Start slowly, then get faster.", Style()),
        ("A man and a woman", Style()),
        ("Breakfast news for humans, with high spirits", Style()),
    ],
    ids=str,
)
def test_levels_are_found_among_free_words(instructions, style):
    assert style_of(instructions) == style
