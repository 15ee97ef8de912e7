"""Options of classes and functions from elsewhere, checked against their signature, annotated or not."""

import inspect
from collections.abc import Callable, Collection, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from losslab.errors import did_you_mean
from losslab.settings.schema import invalid

Parameters = Mapping[str, inspect.Parameter]

_PLAIN = (bool, int, float, str, NoneType)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def parameters(called: Callable[..., Any]) -> Parameters | None:
    """The parameters of a class's constructor or of a function by name; None where they cannot be known."""
    try:
        return inspect.signature(called).parameters
    except (TypeError, ValueError):
        return None


def checked(called: Callable[..., Any], options: Mapping[str, Any], given: Collection[str] = ()) -> dict[str, Any]:
    """`options`, and the defaults of the others as far as they are plain values.

    Args:
        called: a class or function.
        options: keyword arguments for it, from params.yaml.
        given: parameters that the program fills in.

    Raises:
        pydantic.ValidationError: an option that it does not have, one that it needs and is not there, or a value that
            is not of the type in its annotation, where that is a simple one; below `options`.
    """
    known = parameters(called)
    if known is None:
        return dict(options)
    named = {name: p for name, p in known.items() if p.kind not in _VARIADIC and name not in given}
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    hints = type_hints(called)
    for name, value in options.items():
        if name in given:
            raise invalid(f"options.{name}", "is filled in by losslab; remove it", value)
        if name in named:
            _check_type(name, value, named[name].default, hints.get(name))
        elif not takes_any:
            raise invalid(
                f"options.{name}", f"{called.__name__} has no such option; {did_you_mean(name, named)}", value
            )
    lacking = [name for name, p in named.items() if p.default is inspect.Parameter.empty and name not in options]
    if lacking:
        raise invalid(f"options.{lacking[0]}", f"missing; {called.__name__} has no default for it", None)
    defaults = {name: p.default for name, p in named.items() if _is_plain(p.default)}
    return defaults | dict(options)


def type_hints(called: Callable[..., Any]) -> dict[str, Any]:
    """Annotations by parameter; none where they name what cannot be resolved."""
    annotated = called.__init__ if inspect.isclass(called) else called
    try:
        return get_type_hints(annotated, include_extras=True)
    except Exception:  # an annotation may be any expression
        return {}


def _check_type(name: str, value: Any, default: Any, hint: Any) -> None:
    if value == default or not _is_simple(hint):
        return
    try:
        TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise invalid(f"options.{name}", f"{value!r} does not do: {reason}", value) from None


def _is_simple(hint: Any) -> bool:
    """Whether an annotation says enough to check values of YAML by it."""
    if get_origin(hint) is Annotated:
        return _is_simple(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return all(map(_is_simple, get_args(hint)))
    return get_origin(hint) is Literal or hint in _PLAIN


def _is_plain(value: Any) -> bool:
    """Whether JSON has such a value; an enumeration's member, though a string, is not one."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return type(value) in _PLAIN
