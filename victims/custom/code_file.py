"""A function or a torch module in Python: `file.py:thing` or `module:thing`. It runs its code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from priemo_bench.contracts.probe import reason
from priemo_bench.errors import PriemoError
from priemo_bench.references import imported
from priemo_bench.victims.custom.description import Description


def thing(described: Description) -> Any:
    """What the reference of a description names; PriemoError where it cannot be imported."""
    return imported("victims", str(described.file))


def function(described: Description) -> Callable[[Any], Any]:
    """The function of a description."""
    found = thing(described)
    if not callable(found) or isinstance(found, nn.Module):
        raise PriemoError(
            f"{described.file} is a {type(found).__name__}; it must be a function of images "
            '(format = "module" takes torch modules)'
        )
    predict: Callable[[Any], Any] = found
    return predict


def network(described: Description) -> nn.Module:
    """The torch module: as it is, or made by a class or factory with the described options."""
    found = thing(described)
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise PriemoError(
                f"{described.file} is a {type(found).__name__}; it must be a torch module, or a "
                "class or function that makes one"
            )
        try:
            found = found(**described.options)
        except PriemoError:
            raise
        except Exception as error:  # any that a stranger's code may raise
            raise PriemoError(
                f"{described.file} cannot be made with options {described.options}: {reason(error)}"
            ) from error
    if not isinstance(found, nn.Module):
        raise PriemoError(
            f"{described.file} makes a {type(found).__name__}; it must make a torch module"
        )
    return found
