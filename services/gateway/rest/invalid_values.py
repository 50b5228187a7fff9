"""What pydantic finds wrong with a request, in words for who sent it: where, what is allowed, and what was sent."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.runtime.quoted import quoted

# One problem, as pydantic tells it: type, loc, msg, input, ctx.
Problem = Mapping[str, Any]

# FastAPI begins the location of a value with the part of the request that held it.
_SOURCES = ("body", "query", "path", "header")
# Type of problem -> what the value must be; names in braces are of its `ctx`.
_KINDS = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer of fewer digits",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "greater_than": "above {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "below {lt}",
    "string_too_long": "at most {max_length} characters long",
    "string_too_short": "at least {min_length} characters long",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    # Of all validators of FastAPI's own, the one of uploads is the only one that is used.
    "value_error": "a file",
}


def field_of(problem: Problem) -> str | None:
    """None where the body itself is wrong."""
    return next((part for part in problem["loc"] if isinstance(part, str) and part not in _SOURCES), None)


def told(field: str, problems: Sequence[Problem]) -> str:
    """`problems` of `field`. Where it may be one of several kinds, pydantic tells a problem for each."""
    missing = next((each for each in problems if each["type"] == "missing" and each["loc"][-1] == field), None)
    if missing is not None:
        # Where a form lacks it nothing is told of the rest.
        sent = missing["input"]
        return f"'{field}' is required" + (f"; {described(sent)} was sent." if isinstance(sent, Mapping) else ".")
    allowed = dict.fromkeys(_allowed(field, problem) for problem in problems)
    # What nests deeper lies inside of what was sent for the field, which the others tell.
    sent = max((problem for problem in problems), key=lambda problem: -len(problem["loc"]))["input"]
    return f"Invalid '{field}': it must be {' or '.join(allowed)}; {described(sent)} was sent."


def _allowed(field: str, problem: Problem) -> str:
    inner = problem["loc"][-1]
    # pydantic also puts the names of the kinds into locations, and the field itself comes last in most.
    if problem["type"] == "missing":
        return f"an object with '{inner}'"
    kind = _kind(problem)
    nested = len(problem["loc"]) > problem["loc"].index(field) + 2
    return f"an object whose '{inner}' is {kind}" if nested else kind


def _kind(problem: Problem) -> str:
    if problem["type"] not in _KINDS:
        return str(problem["msg"])
    return _KINDS[problem["type"]].format_map(problem.get("ctx", {}))


def described(value: object) -> str:
    """What was sent: a short value itself, of a longer one its kind."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        names = ", ".join(quoted(str(name)) for name in list(value)[:3])
        return f"an object with {names}" if names else "an empty object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)[:40]
    return "something else"
