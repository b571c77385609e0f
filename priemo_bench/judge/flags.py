"""What the flags of a row mean: reasons not to believe it, or not to compare it."""

from __future__ import annotations

MEANING = {
    "beyond the floor": "its published images do not keep the floor: it is shown for comparison, "
    "and has no rank",
    "clean accuracy near chance": "the victims hardly read clean faces, so that little can be "
    "protected",
    "zero gradient": "a surrogate gave no gradient for some faces: the attack did not see it",
    "victim in training mode": "a victim was left in training mode, in which it predicts otherwise",
    "perturbation is zero": "more than half of the published images equal their originals: at the "
    "strengths that it has, the method cannot keep the floor by doing less",
    "collapsed to": "more than 80 % of the predictions are this one emotion: it says little of the "
    "single face, and the rate only how rare the emotion is",
    "more budget protects less": "under an equal budget the same method changes images less and "
    "protects more: its usual settings are not its best",
    "a control does better": "an attack without a model protects more under the same budget",
    "budget not used": "it leaves more than 5 % of the allowed loss unused and is not ranked: it "
    "might protect more",
}
"""By flag, or the beginning of one."""


def meaning(flag: str) -> str:
    """What a flag of `Tables.leaderboard` means; "" for one that is not known.

    Example:
        >>> meaning("collapsed to sad")[:30]
        'more than 80 % of the predicti'
    """
    return next((text for name, text in MEANING.items() if flag.startswith(name)), "")
