"""What tables and `priemo-bench list defenses` say of a bundled filter."""

from __future__ import annotations

from typing import ClassVar


class Described:
    """Words and the strength of a filter, from its fields.

    Attributes:
        does: one line, a template of its fields ("JPEG of quality {0.quality}").
        kind: name of its curve, a template too: filters of one family differ in strength only.
        knob: the field that is the strength; empty where there is none to draw a curve over.
        source: paper or library.
    """

    does: ClassVar[str]
    kind: ClassVar[str]
    knob: ClassVar[str] = ""
    source: ClassVar[str]

    @property
    def summary(self) -> str:
        """What it does, with its strength, in one line."""
        return self.does.format(self)

    @property
    def family(self) -> str:
        """The curve that it is a point of."""
        return self.kind.format(self)

    @property
    def strength(self) -> float | None:
        """The number that its family's curve is drawn over, if any."""
        return float(getattr(self, self.knob)) if self.knob else None
