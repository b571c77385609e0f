"""Settings that users write in TOML: strict models, and their errors as sentences."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown


class StrictModel(BaseModel):
    """A pydantic model that is immutable and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def first_error(error: ValidationError, model: type[BaseModel], keys: str = "keys") -> PriemoError:
    """The first error of a validation as one sentence, to be raised.

    It names the field and its value; for an unknown key, the nearest known ones. A PriemoError
    raised by a validator is returned as it is.

    Args:
        error: of pydantic.
        model: the model that was validated.
        keys: what its keys are called in the sentence, in the plural.

    Example:
        >>> class Circle(StrictModel):
        ...     radius: float
        >>> try:
        ...     Circle(radius="wide")
        ... except ValidationError as error:
        ...     print(first_error(error, Circle))
        radius is 'wide': input should be a valid number, unable to parse string as a number
    """
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, PriemoError):
        return cause
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown(keys, str(first["loc"][-1]), _at(model, first["loc"][:-1]).model_fields)
    if first["type"] == "missing":
        return PriemoError(f"{where} is missing")
    reason = first["msg"][0].lower() + first["msg"][1:]
    return PriemoError(f"{where} is {first['input']!r}: {reason}" if where else reason)


def _at(model: type[BaseModel], path: tuple[int | str, ...]) -> type[BaseModel]:
    """The nested model at a path of keys."""
    for key in path:
        if isinstance(key, str) and key in model.model_fields:
            model = _nested(model.model_fields[key].annotation) or model
    return model


def _nested(annotation: object) -> type[BaseModel] | None:
    """The model in an annotation, such as `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested, get_args(annotation))), None)
