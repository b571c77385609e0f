"""What figures call their rows."""

from __future__ import annotations

from priemo_bench.report.figures import short_name


def test_many_surrogates_are_named_by_those_they_leave_out() -> None:
    folds = ["b+c+d+e", "a+c+d+e", "a+b+c+d+e", "a", "a+b+c"]
    assert [short_name(fold, folds) for fold in folds] == [
        "all but a", "all but b", "all 5", "a", "a+b+c",
    ]  # fmt: skip
    assert short_name("a+b+c+d", ["a+b+c+d", "e+f+g+h"]) == "a+b+c+d"
