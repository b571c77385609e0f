"""A description as a victim: a network, a function, or a table of readings; tried, with a card."""

from __future__ import annotations

from typing import Any

from priemo_bench.contracts.black_box import BlackBox
from priemo_bench.contracts.given import card_of
from priemo_bench.contracts.network_victim import GivenVictim
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.victims.custom.description import Description, files_of, identity
from priemo_bench.victims.custom.networks import facts, network


def load(found: Description) -> Victim:
    """The frozen victim with its card.

    Raises:
        PriemoError: a file is missing, is not the described one, or what is wrong with the
            answers of its network.
    """
    own, whole = identity(found, files_of(found))
    described = found.completed(facts(found))
    if described.format in ("function", "readings"):
        victim: GivenVictim | BlackBox = _black_box(described, whole)
    else:
        victim = _network(described, whole)
    victim.card = _card(victim, described, own)
    return freeze(victim)


def _input(described: Description) -> dict[str, Any]:
    """Input and outputs as victims take them: mean and std of RGB, where white is 1."""
    rgb = -1 if described.order == "bgr" else 1  # victims normalise RGB
    known: dict[str, Any] = {
        key: tuple(value / described.range for value in values[::rgb])
        for key, values in (("mean", described.mean), ("std", described.std))
        if values is not None
    }
    if described.range == 255 and described.std is None:
        known["std"] = (1 / 255,)
    if described.layout:
        known["layout"] = described.layout
    return {**known, "order": described.order}


def _network(described: Description, whole: str) -> GivenVictim:
    what = str(described.file)
    if described.format in ("timm", "torchvision") and not described.size:
        raise PriemoError("size is missing; give the side of the network's input in pixels")
    victim = GivenVictim(
        network(described), described.labels or (), size=described.size or 0,
        channels=described.channels or 0, output=_output(described), identity=whole,
        differentiable=not described.judged_only, **_input(described),
    )  # fmt: skip
    freeze(victim)
    if not (described.size and described.channels):
        victim.find_input(what, described.size or 0, described.channels or 0)
    victim.probe(what)
    found = "probabilities" if victim.probabilities else "logits"
    if described.outputs not in (None, found):
        raise PriemoError(
            f'{what} gives {found}, not {described.outputs}; write outputs = "{found}"'
        )
    return victim


def _output(described: Description) -> int | str | None:
    """The output to pick; that of ONNX is the only one left in its graph."""
    return None if described.format == "onnx" else described.output


def _black_box(described: Description, whole: str) -> BlackBox:
    function: Any
    if described.format == "readings":
        from priemo_bench.victims.custom.readings_file import Readings

        function = Readings(described.file)
    else:
        from priemo_bench.victims.custom.code_file import function as predictor

        function = predictor(described)
    box = BlackBox(
        function, described.labels or (), f"victim {described.name!r}", size=described.size or 0,
        channels=described.channels or 0, identity=whole, **_input(described),
    )  # fmt: skip
    if described.format == "readings":
        box.published_only = True
    else:
        box.probe()
    return box


def _card(victim: GivenVictim | BlackBox, described: Description, own: str) -> Any:
    named = f" {described.architecture}" if described.format in ("timm", "torchvision") else ""
    pixels = f"{victim.size}x{victim.size}" if victim.size else "any size"
    colour = {1: "grey", 3: described.order.upper()}.get(victim.channels, "any colour")
    mean, std = described.mean or (0.0,), described.std or (1.0,)
    return card_of(
        victim,
        described.name,
        f"{described.format}{named}",
        input=f"{pixels} {colour}, white = {described.range}, mean {list(mean)}, std {list(std)}",
        training_data=described.training_data,
        licence=described.licence,
        sha256=own,
        data=described.data,
        authors=described.authors,
        kin=described.kin,
    )
