"""The phones of espeak-ng's American English, allophones merged."""

SILENCE = "_"
PHONES = (
    SILENCE,
    *("p", "b", "t", "d", "k", "g", "f", "v", "T", "D", "s", "z", "S", "Z", "h", "tS", "dZ"),
    *("m", "n", "N", "l", "r", "w", "j"),
    *("i:", "I", "eI", "E", "a", "A:", "O:", "oU", "U", "u:", "V", "@", "3", "aI", "aU", "OI"),
    *("A@", "e@", "i@", "o@", "U@", "aI@", "@L"),
)
INDEX = {phone: index for index, phone in enumerate(PHONES)}

_MERGED = {
    **dict.fromkeys(("_:", "_!"), SILENCE),
    **dict.fromkeys(("t#", "t2", "?"), "t"),
    **dict.fromkeys(("@2", "@-", "a#"), "@"),
    **dict.fromkeys(("0", "A"), "A:"),
    **dict.fromkeys(("O", "O2"), "O:"),
    **dict.fromkeys(("I#", "I2"), "I"),
    **dict(zip(("i", "aa", "3:", "O@", "i@3", "aI3"), ("i:", "a", "3", "o@", "i@", "aI@"), strict=True)),
    **dict(zip(("r-", "n-", "x"), ("r", "n", "k"), strict=True)),
}
_STRESS = "',%=|"
_GLIDE = ";"
"""A palatal glide within a vowel: no phone of its own."""


class UnknownPhone(ValueError):
    """A mnemonic that American English does not have: a foreign word."""


def phone_index(mnemonic: str) -> int | None:
    """Of espeak-ng's mnemonic, with stress or without; None for one that only marks. Raises UnknownPhone."""
    name = mnemonic.lstrip(_STRESS)
    if name in ("", _GLIDE):
        return None
    index = INDEX.get(_MERGED.get(name, name))
    if index is None:
        raise UnknownPhone(mnemonic)
    return index
