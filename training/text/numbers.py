"""Numbers, times, prices and letters, mostly spelled out as they are said, sometimes as they are written."""

from numpy.random import Generator

from training.text.templates import one_of

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_THINGS = ("dollars", "people", "miles", "years", "pages", "pounds", "days", "points", "percent", "meters", "degrees")
_TITLES = ("mister", "doctor", "missus", "professor", "saint", "captain", "Mr.", "Dr.", "Mrs.", "St.")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def spelled(number: int) -> str:
    """Of 0 to 999,999, in American English."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens = _TENS[number // 10 - 2]
        return f"{tens} {_ONES[number % 10]}" if number % 10 else tens
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            head = f"{spelled(number // size)} {name}"
            return f"{head} {spelled(number % size)}" if number % size else head
    raise AssertionError(number)


def phrase(draws: Generator) -> str:
    """A number with what it counts, a year, a time of day, a row of digits, a title, an abbreviation."""
    number = int(10 ** draws.uniform(0, 5))
    written = str(number) if number < 1000 and draws.random() < 0.3 else spelled(number)
    return one_of(
        (
            f"{written} {one_of(_THINGS, draws)}",
            f"number {written}",
            f"{spelled(int(draws.integers(1, 100)))} point {_row(draws, 2)}",
            f"in {one_of(('nineteen', 'twenty', 'eighteen'), draws)} {spelled(int(draws.integers(10, 100)))}",
            f"at {spelled(int(draws.integers(1, 13)))} {spelled(int(draws.integers(10, 60)))}",
            f"call {_row(draws, int(draws.integers(3, 8)))}",
            f"the {letters(draws)} {written}",
            f"{one_of(_TITLES, draws)} {one_of(('Smith', 'Brown', 'Miller', 'Jones', 'Taylor', 'Wilson'), draws)}",
            f"{spelled(int(draws.integers(2, 20)))} {one_of(('times', 'plus', 'minus', 'out of'), draws)} {written}",
        ),
        draws,
    )


def letters(draws: Generator) -> str:
    """An abbreviation as it is said: letter by letter."""
    return " ".join(one_of(_LETTERS, draws) for _ in range(int(draws.integers(2, 5))))


def _row(draws: Generator, count: int) -> str:
    return " ".join(_ONES[index] for index in draws.integers(0, 10, count))
