"""Parameters of a node: declared once, as a frozen dataclass whose fields carry a description and a range.

    @dataclass(frozen=True)
    class Parameters:
        rate: float = parameter(10.0, "Frames a second.", low=0.1, high=100.0)

`declare` makes ROS parameters of it and returns the checked values. Nothing here imports rclpy at module level, so that
launch files and YAML can be checked against the dataclasses where ROS is not installed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

from embodied_mem.errors import BadInputError

if TYPE_CHECKING:
    from rclpy.node import Node

T = TypeVar("T")
Value = bool | int | float | str | tuple[str, ...]

# Parameters that ROS itself gives every node.
OF_ROS = ("use_sim_time", "start_type_description_service")


def parameter(
    default: Value,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    above: float | None = None,
) -> Any:
    """A field of a dataclass of parameters: `low` and `high` are allowed themselves, `above` is not."""
    return field(
        default=default,
        metadata={"description": description, "low": low, "high": high, "choices": choices, "above": above},
    )


def check(owner: str, item: Field[Any], value: Any) -> Value:
    """The value as the field's type; an integer will do for a float. Raises BadInputError with what is allowed."""
    default: Any = item.default
    meta = item.metadata
    what = f"Parameter {item.name!r} of {owner}"
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise BadInputError(f"{what} must be a list of texts, not {value!r}.")
        return tuple(value)
    if type(value) is not type(default):
        raise BadInputError(f"{what} must be {_KINDS[type(default)]}, not {value!r} ({type(value).__name__}).")
    if meta["choices"] and value not in meta["choices"]:
        raise BadInputError(f"{what} must be one of {', '.join(meta['choices'])}, not {value!r}.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        too_low = (meta["low"] is not None and value < meta["low"]) or (
            meta["above"] is not None and value <= meta["above"]
        )
        if math.isnan(value) or too_low or (meta["high"] is not None and value > meta["high"]):
            raise BadInputError(f"{what} must be {_range(meta)}, not {value}.")
    checked: Value = value
    return checked


def build(owner: str, kind: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass with these values and defaults for the rest. Raises BadInputError, for a misspelt name too."""
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known and name not in OF_ROS and not name.startswith("qos_overrides."):
            near = get_close_matches(name, known, 1)
            raise BadInputError(f"{owner} has no parameter {name!r}" + (f": is {near[0]!r} meant?" if near else "."))
    return kind(**{name: check(owner, known[name], value) for name, value in values.items() if name in known})


def declare(node: Node, kind: type[T]) -> T:
    """Declare the dataclass's fields as read-only parameters of `node`, take what was given for them, and check it.

    Raises BadInputError for a value that is not allowed or a name that no parameter has.
    """
    owner = node.get_name()
    given = {name: given.value for name, given in node._parameter_overrides.items()}
    values = build(owner, kind, given)
    for item in fields(kind):  # type: ignore[arg-type]
        value = getattr(values, item.name)
        node.declare_parameter(
            item.name,
            list(value) if isinstance(value, tuple) else value,
            _descriptor(item),
            ignore_override=True,
        )
    return values


def defaults(kind: type[Any]) -> dict[str, Value]:
    """Name -> default."""
    return {item.name: item.default for item in fields(kind) if item.default is not MISSING}


_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def _range(meta: Mapping[str, Any]) -> str:
    if meta["above"] is not None:
        return f"above {meta['above']:g}" + (f" and at most {meta['high']:g}" if meta["high"] is not None else "")
    if meta["high"] is None:
        return f"at least {meta['low']:g}" if meta["low"] is not None else "a number"
    return f"between {meta['low']:g} and {meta['high']:g}" if meta["low"] is not None else f"at most {meta['high']:g}"


def _descriptor(item: Field[Any]) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    default, meta = item.default, item.metadata
    descriptor = ParameterDescriptor(name=item.name, description=meta["description"], read_only=True)
    if meta["choices"]:
        descriptor.additional_constraints = "one of: " + ", ".join(meta["choices"])
    low = meta["low"] if meta["low"] is not None else meta["above"]
    if low is None and meta["high"] is None:
        return descriptor
    if isinstance(default, int):
        top = 2**53 if meta["high"] is None else int(meta["high"])
        descriptor.integer_range = [IntegerRange(from_value=-(2**53) if low is None else int(low), to_value=top)]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-math.inf if low is None else float(low),
                to_value=math.inf if meta["high"] is None else float(meta["high"]),
            )
        ]
    return descriptor
