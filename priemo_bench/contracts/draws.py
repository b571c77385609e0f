"""The draws of a random defense, under each of which victims predict."""

from __future__ import annotations

from priemo_bench.contracts.defense import Defense, HasDraws

DRAWS = 5
"""Of a random defense; tables give the mean over them, and its spread."""
_MARK = "#"


def all_draws(name: str, defense: Defense) -> dict[str, Defense]:
    """A defense by its name; a random one's further draws by names such as "turn5#1", too."""
    if not isinstance(defense, HasDraws):
        return {name: defense}
    further = {f"{name}{_MARK}{k}": defense.draw(defense.seed + k) for k in range(1, DRAWS)}
    return {name: defense, **further}


def without_draw(name: str) -> str:
    """The name of the defense that `all_draws` gave a draw of."""
    return name.partition(_MARK)[0]
