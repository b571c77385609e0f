"""What a rule of the conformance kit is: a test with a name, a sentence and how to mend it."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from priemo_bench.errors import PriemoError
from priemo_bench.testing.surroundings import watched

T = TypeVar("T")
LENGTH = 300
"""Most characters of what an exception says."""
_OTHERS = (
    str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"),
    sysconfig.get_path("platlib"),
)  # fmt: skip
"""Folders whose code is not what is checked."""


class Broken(AssertionError):
    """A rule of the conformance kit does not hold: its name, what was found, how to mend it."""


def check(holds: object, sentence: str) -> None:
    """Raise `Broken` with `sentence` unless `holds` (kept where Python drops assert)."""
    if not holds:
        raise Broken(sentence)


@dataclass(frozen=True)
class Rule(Generic[T]):
    """A rule, called with what is checked; `Broken` where it does not hold.

    Attributes:
        test: raises where the rule does not hold; its name and the first line of its docstring are
            those of the rule.
        mend: how to mend what breaks it.
    """

    test: Callable[[T], None]
    mend: str

    @property
    def __name__(self) -> str:
        return self.test.__name__

    @property
    def says(self) -> str:
        """The rule in one sentence."""
        return (self.test.__doc__ or "").partition("\n")[0]

    def fault(self, thing: T) -> str:
        """What is wrong with `thing`, in one line; "" where the rule holds."""
        try:
            with watched():
                self.test(thing)
        except Broken as broken:
            return str(broken)
        except (Exception, SystemExit) as error:  # any that the code of others may raise
            return told(error)
        return ""

    def __call__(self, thing: T) -> None:
        if fault := self.fault(thing):
            raise Broken(Verdict(self.__name__, self.says, fault, self.mend).sentence)


def rule(mend: str) -> Callable[[Callable[[T], None]], Rule[T]]:
    """Make a test that raises a `Rule`; `mend` says how to mend what breaks it."""
    return lambda test: Rule(test, mend)


@dataclass(frozen=True)
class Verdict:
    """What came of a rule.

    Attributes:
        rule: its name. says: the rule in one sentence. fault: what breaks it; "" where it is kept.
        mend: how to mend that.
    """

    rule: str
    says: str
    fault: str
    mend: str

    @property
    def sentence(self) -> str:
        """Of a broken rule."""
        return f"{self.rule}: {self.fault}. To mend it: {self.mend}"


def verdicts(rules: Iterable[Rule[T]], things: Sequence[tuple[str, T]]) -> Iterator[Verdict]:
    """What comes of each rule on some things, each with a word for it ("grey"), rule by rule."""
    for own in rules:
        faults = ((word, own.fault(thing)) for word, thing in things)
        word, fault = next(((w, f) for w, f in faults if f), ("", ""))
        where = f"{fault} ({word})" if fault and word else fault
        yield Verdict(own.__name__, own.says, where, own.mend)


def raise_broken(found: Iterable[Verdict]) -> None:
    """`Broken` with a line for every broken rule, where there is one."""
    broken = [verdict.sentence for verdict in found if verdict.fault]
    if broken:
        raise Broken("\n".join(broken))


def told(error: BaseException) -> str:
    """An exception in one line, with the line of the code that is checked."""
    try:
        text = " ".join(str(error).split())[:LENGTH]
    except Exception:  # a message that cannot be made is none
        text = ""
    if isinstance(error, PriemoError):
        return f"it refuses: {text}"
    if isinstance(error, SystemExit):
        return f"it called sys.exit({text}){_place(error)}"
    return f"it raised {type(error).__name__}{': ' if text else ''}{text}{_place(error)}"


def _place(error: BaseException) -> str:
    """The last line outside of the kit and of installed packages that an exception came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*_OTHERS, "<"))]
    return f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""
