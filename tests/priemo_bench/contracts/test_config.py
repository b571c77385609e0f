"""Validation errors as one sentence each."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError, field_validator

from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.errors import PriemoError


class Part(StrictModel):
    width: float = Field(default=1, gt=0)


class Whole(StrictModel):
    name: str
    part: Part | None = None
    parts: tuple[Part, ...] = ()

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "nobody":
            raise PriemoError("nobody is not a name")
        return name


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "name is missing"),
        ({"name": "nobody"}, "nobody is not a name"),
        ({"name": "a", "nmae": 1}, "no key is called 'nmae'; did you mean name?"),
        ({"name": "a", "part": {"width": 0}}, "part.width is 0: input should be greater than 0"),
        ({"name": "a", "part": {"wdth": 1}}, "no key is called 'wdth'; did you mean width?"),
        ({"name": "a", "parts": [{}, {"wdth": 1}]}, "no key is called 'wdth'; did you mean width?"),
        ({"name": 3}, "name is 3: input should be a valid string"),
    ],
)
def test_the_first_error_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Whole(**values)
    error = first_error(caught.value, Whole)
    assert isinstance(error, PriemoError)
    assert str(error) == sentence


def test_keys_have_the_name_that_is_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate({"name": "a", "nmae": 1})
    assert str(first_error(caught.value, Whole, "settings")).startswith("no setting is called")


def test_models_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Part().width = 2  # type: ignore[misc]
