"""Passes are counted exactly, whoever calls the model and however."""

from __future__ import annotations

import torch
from torch import nn

from priemo_bench.run.profiling import PassCounter
from priemo_bench.testing import ToyVictim


def test_forward_and_backward_images_of_a_victim() -> None:
    victim = ToyVictim()
    x = torch.rand(5, 1, 32, 32, requires_grad=True)
    with PassCounter([victim]) as passes:
        victim(x).sum().backward()
        victim.head(victim.features(x[:2])).sum().backward()
        with torch.no_grad():
            victim(x)
    assert (passes.forwards, passes.backwards) == (5 + 2 + 5, 5 + 2)
    assert passes.seconds > 0


def test_a_gradient_of_each_class_is_a_pass_of_its_own() -> None:
    victim = ToyVictim()
    x = torch.rand(3, 1, 32, 32, requires_grad=True)
    with PassCounter([victim]) as passes:
        logits = victim(x)
        for k in range(7):
            torch.autograd.grad(logits[:, k].sum(), x, retain_graph=True)
    assert (passes.forwards, passes.backwards) == (3, 21)


def test_a_module_without_features_and_what_happens_outside() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 7))
    x = torch.rand(6, 1, 2, 2, requires_grad=True)
    with PassCounter([model]) as passes:
        model(x).sum().backward()
    model(x).sum().backward()
    assert (passes.forwards, passes.backwards) == (6, 6)


def test_the_victim_is_as_before() -> None:
    victim = ToyVictim()
    with PassCounter([victim]):
        pass
    assert "features" not in vars(victim)
