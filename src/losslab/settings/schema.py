"""How a mapping from params.yaml is checked, and how what is wrong with it is said in one line."""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from losslab.errors import did_you_mean

LARGEST, DEEPEST = 100_000, 50

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A mapping whose keys are all known: an unknown one is an error that names the nearest. No boolean is a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    raise invalid(str(key), f"unknown key; {did_you_mean(key, cls.model_fields)}", value[key])
                # Python counts true as 1.
                if isinstance(value[key], bool) and _is_number(cls.model_fields[key].annotation):
                    raise invalid(key, f"{str(value[key]).lower()} is not a number", value[key])
        return value


def _is_number(hint: Any) -> bool:
    """Whether the type is a number, or a number or null."""
    parts = {getattr(part, "__origin__", part) for part in get_args(hint) or (hint,)}
    return parts <= {int, float, type(None)}


def invalid(key: str, message: str, value: Any) -> ValidationError:
    """A validation error at `key`, or `key.key`, for a validator to raise: pydantic puts the path so far before it."""
    said = PydanticCustomError("losslab", "{message}", {"message": message})
    error = InitErrorDetails(type=said, loc=tuple(key.split(".")), input=value)
    return ValidationError.from_exception_data(key, [error])


def refuse_bomb(raw: Any) -> None:
    """A `ValueError` for what is larger or deeper than any settings are.

    In YAML, aliases of aliases make a small file mean more than any memory holds, and a cycle has no end.
    """
    count, waiting = 0, [(raw, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > LARGEST or depth > DEEPEST:
            raise ValueError(f"more than {LARGEST} values, aliases followed, or nested deeper than {DEEPEST}")
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += ((item, depth + 1) for item in inner)


def explain(error: ValidationError, source: str, *prefix: str) -> str:
    """One line for each thing wrong: `params.yaml: losses.mse_dice.alpha: 1.4 is not in [0, 1]`."""
    lines = []
    for detail in error.errors(include_url=False):
        path = ".".join(str(part) for part in (*prefix, *detail["loc"]))
        lines.append(f"{source}: {path}: {_message(detail).replace('{path}', path)}")
    return "\n".join(lines)


_BOUNDS = {"greater_than_equal": ("ge", "≥"), "greater_than": ("gt", ">"), "less_than_equal": ("le", "≤"),
           "less_than": ("lt", "<")}  # fmt: skip


def _message(detail: Any) -> str:
    value = detail["input"]
    match detail["type"]:
        case "losslab":
            return str(detail["msg"])
        case "missing":
            return "missing; add it"
        case "literal_error":
            return f"{value!r} is not one of {detail['ctx']['expected']}"
        case bound if bound in _BOUNDS:
            name, sign = _BOUNDS[bound]
            return f"{value!r} is not {sign} {detail['ctx'][name]}"
        case _:
            shown = "" if isinstance(value, dict) else f" (it is {value!r})"
            return f"{detail['msg'].removeprefix('Value error, ')}{shown}"
