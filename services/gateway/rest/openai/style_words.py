"""The words that tell gender, pitch and speed, and those that stand around them: regular expressions of lower case."""

import re
from collections.abc import Mapping

from services.contract.design import Gender, Level

_GRAMMAR = (
    "a|an|the|this|that|these|those|and|or|but|nor|not|no|never|of|to|from|for|with|without|in|into|on|at|by|about|as|"
    "like|than|who|whom|whose|which|what|when|where|while|how|why|if|because|i|you|he|she|it|we|they|me|him|them|us|"
    "my|your|his|her|its|our|their|someone|somebody|everyone|everybody|people|is|are|was|were|be|been|has|have|had|do|"
    "does|did|will|would|can|could|should|must|may|might|there|too|less"
)
# Before and after a word: it is no part of a compound, nor a possessive.
START, END = r"(?<![\w'-])", r"(?![\w'-])"
# A word of no grammar: neither preposition nor pronoun nor article. Only such stand within a phrase.
WORD = rf"(?!(?:{_GRAMMAR}){END})[^\W\d_][\w'-]*"

STRONG = "very|extremely|really|super|incredibly|exceptionally"
DEGREE = (
    f"(?:(?:{STRONG}|a bit|a little|slightly|somewhat|rather|quite|fairly|pretty|relatively|so|much|more|as)[ _-])*"
)

MALE, FEMALE = "male|masculine", "female|feminine"
MAN, WOMAN = "man|boy|gentleman", "woman|girl|lady"
SEXES: Mapping[Gender, str] = {
    Gender.MALE: f"(?:{MALE}|(?:{MAN})(?:'s)?)",
    Gender.FEMALE: f"(?:{FEMALE}|(?:{WOMAN})(?:'s)?)",
}
ANY_SEX = f"{MALE}|{FEMALE}"
ANYBODY = f"{MAN}|{WOMAN}"
SPEAKERS = "narrator|speaker|announcer|voice actor"

PITCH_NOUNS = "voice|tone|pitch|register|timbre"
RATE_NOUNS = "speaking rate|speaking pace|speaking speed|speed|pace|rate|tempo|pacing"
SPEED_NOUNS = f"{RATE_NOUNS}|cadence|rhythm|delivery|manner|way|fashion|style|speech"

PITCHES: Mapping[Level, str] = {
    Level.LOW: "(?:low(?:er)?|deep(?:er)?)(?:-pitched|-voiced)?",
    Level.HIGH: "high(?:er)?(?:-pitched|-voiced)?",
}
SPEEDS: Mapping[Level, str] = {
    Level.LOW: "slow(?:er|ly|-paced|-talking|-speaking)?|unhurried(?:ly)?|leisurely",
    Level.HIGH: "fast(?:er|-paced|-talking|-speaking)?|quick(?:er|ly)?|rapid(?:ly)?",
}
# Who does it.
DOERS: Mapping[Level, str] = {
    Level.LOW: "slow-(?:talking|speaking|paced)",
    Level.HIGH: "fast-(?:talking|speaking|paced)",
}
# Of a rate or a pitch alone: "in a normal voice" asks for nothing.
MODERATE: Mapping[Level, str] = {Level.MODERATE: "moderate|medium|normal|average"}
RATES: Mapping[Level, str] = {Level.LOW: "low(?:er)?", Level.HIGH: "high(?:er)?"}
# Words of pitch that need no noun.
DEEP = "deep(?:er|ly)?|(?:low|high|deep)-(?:pitched|voiced)"

# What may stand between a word of pitch and its noun: "a deep energy voice" is no deep voice.
BESIDE = re.compile(
    rf"{START}(?:speaking|singing|warm|calm|soft|rich|smooth|gentle|clear|friendly|resonant|husky|raspy|gravelly|"
    r"soothing|confident|cheerful|serious|booming|authoritative|commanding|monotone|steady|deliberate|relaxed|measured|"
    r"hushed|breathy|natural|old|young|elderly|mature|adult|powerful|strong|dark|mellow|velvety|mysterious|dramatic|"
    rf"robotic|british|american|english|baritone|bass|slow|fast|quick|even|{ANY_SEX}|(?:{ANYBODY})'s){END}"
)

DENIED = re.compile(
    rf"{START}(?:not|never|without|avoid\w*|no|nor|neither|nothing|less|cannot|stop|refrain|hardly|barely|too|except|"
    rf"dont|doesnt|isnt|shouldnt|\w+n't){END}"
)
# Those that deny what follows behind a comma, too.
DENIED_ON = re.compile(rf"{START}(?:never|without|avoid\w*|no|nor|neither|stop|refrain|do not|dont|don't){END}")
# What holds for a part of the text, or is a change on the way.
PARTLY = re.compile(
    rf"{START}(?:if|when|whenever|unless|until|once|sometimes|occasionally|gradually|initially|at first|"
    r"start(?:s|ing)?|begin(?:s|ning)?|(?:at|towards?|near) the (?:end|middle)|"
    "(?:first|last) (?:sentence|line|word|part)s?|"
    rf"on the words?){END}"
)

SPEAKING = (
    "speak|talk|read|narrate|recite|deliver|sound|respond|answer|reply|perform|voice|tell|present|say|announce|whisper|"
    "sing|chat|pronounce|enunciate|go|be|act|speaking|talking|reading|narrating|sounding|spoken|narrated|"
    "(?:keep|make|take) it"
)
POLITE = (
    "(?:(?:please|kindly|now|just|always|also|and|so|ok|okay|try to|make sure to|be sure to|remember to|make it|to|"
    "you (?:should|must|will|need to|have to)|(?:i want|i'd like|i would like|i need) you to|"
    f"(?:can|could|would|will) you|(?:the )?(?:voice|reader|{SPEAKERS}) (?:should|must)) )*"
)
