"""The adversary trains a recogniser on protected faces, from random weights or from a victim's.

He has protected photos whose emotion he knows: those of friends, or what he protected himself
(Radiya-Dixit et al., "Data poisoning won't save you from facial recognition", ICLR 2022).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import nn

from priemo_bench import registry
from priemo_bench.adversaries.cases import Case, Finding
from priemo_bench.contracts.augmentation import Augmentation, augment
from priemo_bench.contracts.image import ByteImages, Labels
from priemo_bench.contracts.predict import predict
from priemo_bench.contracts.victim import Victim, freeze
from priemo_bench.errors import PriemoError
from priemo_bench.run.store import Store

AUGMENTATION = Augmentation(equalised=0, blurred=0, noisy=0, erased=0.1)
WARMUP = 0.1
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: epochs, faces a step, largest learning rate of AdamW, seed."""

    epochs: int
    batch: int
    rate: float
    seed: int = 0


def trained(net: nn.Module, images: ByteImages, labels: Labels, recipe: Recipe) -> nn.Module:
    """The network itself, trained on labelled images and frozen.

    Random rotations, shifts, mirrors and light as the embedded victims are trained with; linear
    warm-up, then half a cosine to zero.

    Args:
        images: (n, c, h, w) uint8. labels: (n,).

    Raises:
        PriemoError: fewer images than a batch.
    """
    if len(images) < recipe.batch:
        raise PriemoError(f"{len(images)} images are fewer than a batch of {recipe.batch}")
    x, y = torch.from_numpy(np.array(images)), torch.from_numpy(labels)
    net.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(net.parameters(), recipe.rate, weight_decay=0.05)
    total = recipe.epochs * (len(x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_share, total=total))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        for _ in range(recipe.epochs):
            order = torch.randperm(len(x))
            for rows in torch.split(order[: len(x) - len(x) % recipe.batch], recipe.batch):
                faces = augment(x[rows].float() / 255, AUGMENTATION)
                loss = nn.functional.cross_entropy(net(faces), y[rows], label_smoothing=0.05)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return freeze(net)


def _share(step: int, total: int) -> float:
    """Of the largest learning rate, after `step` of `total` steps."""
    rising = max(1.0, WARMUP * total)
    if step < rising:
        return (step + 1) / (rising + 1)
    return float(0.5 * (1 + np.cos(np.pi * (step - rising) / max(1.0, total - rising))))


def mixed(clean: ByteImages, published: ByteImages, share: float) -> ByteImages:
    """Images of which the first `share`, at least one where it is not 0, are the published ones."""
    count = min(len(published), int(np.ceil(share * len(clean))))
    return np.concatenate([published[:count], clean[count:]])


def new_net(victim: str, options: Mapping[str, Any], seed: int) -> Victim:
    """The network of an embedded victim with some of its options replaced, at random weights.

    Raises:
        PriemoError: a victim that is not trained here.
    """
    entry = registry.get("victims", victim)
    if not (hasattr(entry, "spec") and hasattr(entry, "build")):
        raise PriemoError(f"victim {victim!r} is not trained here; it has no training spec")
    model = {**entry.spec.model}
    model["options"] = {**model.get("options", {}), **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Victim = type(entry.build())(**model)
    return net


def findings(case: Case, variant: Mapping[str, Any]) -> Iterator[Finding]:
    """One training: `variant` has the share of protected faces, or the victim that is tuned."""
    if "tuned" in variant:
        yield _tuned(case, str(variant["tuned"]))
    else:
        yield _from_scratch(case, float(variant["share"]))


def _from_scratch(case: Case, share: float) -> Finding:
    own, seed = case.study.retraining, case.study.seed
    recipe = Recipe(own.epochs, own.batch, own.rate, seed)
    faces = case.shuffled("train", own.faces)  # begins with those of `case.seen`
    build = partial(new_net, own.victim, own.options, seed)
    begun = time.process_time()
    before = _kept(build, faces.images, faces.labels, recipe, case.place.store)
    images = mixed(faces.images, case.seen_published, share)
    after = _kept(build, images, faces.labels, recipe, case.place.store)
    return _judged(
        case, before, after, adversary="train from scratch", strength=share,
        victim=f"small {own.victim}", given=f"{len(faces)} labelled faces, {share:.0%} protected",
        facts={"seconds": time.process_time() - begun},
    )  # fmt: skip


def _tuned(case: Case, name: str) -> Finding:
    own, seed = case.study.retraining, case.study.seed
    recipe = Recipe(own.tuned_epochs, own.batch, own.tuned_rate, seed)
    n = min(own.tuned_faces, case.attack.seen)
    faces = case.shuffled("fit", n)
    published = case.published(faces)
    begun = time.process_time()
    victim: nn.Module = registry.get("victims", name)()
    after = trained(victim, published, faces.labels, recipe)
    return _judged(
        case, case.place.context.victims[name], after, adversary="fine-tune", strength=float(n),
        victim=name, given=f"{len(faces)} labelled faces, all protected",
        facts={"seconds": time.process_time() - begun},
    )  # fmt: skip


def _kept(
    build: Any, images: ByteImages, labels: Labels, recipe: Recipe, store: Store
) -> nn.Module:
    """A trained network, from the store where one of the same images and recipe is there."""
    digest = sha256(images.tobytes() + labels.tobytes() + repr((recipe, build)).encode())
    name = f"net-{digest.hexdigest()[:20]}"
    net: nn.Module = build()
    known = store.arrays(name)
    if known.keys() == net.state_dict().keys():
        net.load_state_dict({key: torch.from_numpy(value) for key, value in known.items()})
        return freeze(net)
    trained(net, images, labels, recipe)
    store.save_arrays(name, {key: value.numpy() for key, value in net.state_dict().items()})
    return net


def _judged(case: Case, before: nn.Module, after: nn.Module, **own: Any) -> Finding:
    clean, published = case.test.images, case.test_published
    return Finding(
        threat="adaptive", clean=predict(before, clean), before=predict(before, published),
        clean_after=predict(after, clean), after=predict(after, published), **own,
    )  # fmt: skip
