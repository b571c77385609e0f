"""The one exception that means "the user can mend this"."""

from __future__ import annotations


class PriemoError(ValueError):
    """A user's mistake, told in one sentence: what was wrong and what would be right.

    The command line prints the sentence without a traceback and exits with code 2.
    """
