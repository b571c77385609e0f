"""Settings that users write in TOML: strict models, and one sentence for what is wrong in them."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown


class StrictModel(BaseModel):
    """Immutable, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def first_error(error: ValidationError, model: type[BaseModel], keys: str = "keys") -> PriemoError:
    """The first error of a validation as one sentence; for an unknown key with the nearest ones.

    Args:
        model: that was validated. keys: what its keys are called.
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
    said = first["msg"][0].lower() + first["msg"][1:]
    return PriemoError(f"{where} is {first['input']!r}: {said}" if where else said)


def _at(model: type[BaseModel], path: tuple[int | str, ...]) -> type[BaseModel]:
    """The nested model at a path of keys."""
    for key in path:
        if isinstance(key, str) and key in model.model_fields:
            model = _nested(model.model_fields[key].annotation) or model
    return model


def _nested(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested, get_args(annotation))), None)
