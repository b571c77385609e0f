"""Networks behind a model defense; their features are their logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from scipy.stats import binomtest, norm
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, one_hot
from torch.utils.checkpoint import checkpoint

from priemo_bench.contracts.image import ByteImages, Labels, to_float
from priemo_bench.contracts.predict import device_of
from priemo_bench.contracts.victim import GREY, Victim
from priemo_bench.errors import require

ABSTAIN = -1
"""Label where the vote is too close to certify one."""
BLOCK = 250
"""Noisy copies that go through the network at once."""
VIEWS = ((1.0, 0.0), (1.0, 0.04), (0.92, 0.0), (1.08, 0.0))
"""Scale of the window that is seen, and its shift right and down, in sides of the image."""


class Composed(Victim):
    """Base of victims made of others: features are the logits, and `head` is the identity."""

    def __init__(self, first: Victim) -> None:
        super().__init__(first.size, first.channels, (0.0,) * first.channels, (1.0,))

    def head(self, f: Tensor) -> Tensor:
        """Logits (n, 7), unchanged."""
        return f


class SmoothedVictim(Composed):
    """Randomised smoothing: the vote of a network on noisy copies of an image.

    Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (ICML
    2019, arXiv:1902.02918), without their training on noise. Gaussian noise is added at the size
    of the published image, to the grey one of an image in colour, and clipped to [0, 1] (which is
    part of the network that is smoothed). A change of the grey image is no larger in L2 than that
    of the colour image, so that radii hold for both. The draw follows from `seed` and the bytes
    of the grey image, which floats round to: the same for an image whatever its batch.

    Softmax of the logits is the share of votes, in which the mean probability counts as one vote
    more: it decides between equal votes, and has a gradient. Differentiating keeps the copies of
    one image at a time.

    Args:
        base: the network.
        sigma: standard deviation of the noise, on pixels in [0, 1].
        draws: noisy copies that vote.
        seed: of the noise.
    """

    def __init__(self, base: Victim, sigma: float, draws: int = 100, seed: int = 0) -> None:
        super().__init__(base)
        require(sigma > 0, "sigma", sigma, "above 0")
        require(draws >= 1, "draws", draws, "1 or more")
        self.base, self.sigma, self.draws, self.seed = base, sigma, draws, seed

    @property
    def identity(self) -> str:
        """Its settings, part of the victim's fingerprint."""
        return f"sigma {self.sigma:g}, {self.draws} draws, seed {self.seed}"

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7), the log of the shares of votes."""
        return torch.cat([self._vote(image) for image in self._grey_images(x)])

    def certify(
        self,
        images: ByteImages,
        n0: int = 100,
        n: int = 1000,
        alpha: float = 0.001,
        verbose: bool = True,
    ) -> Certificates:
        """What the smoothed network predicts, and within what L2 radius it predicts nothing else.

        Cohen et al., `CERTIFY`: the class is the most frequent of `n0` draws, and its probability
        bounded from below by `n` others. A statement of chance, wrong for a share `alpha` of
        images at most, if the noise is as good as random to whoever made the image.

        Args:
            images: (m, 1 or 3, h, w) uint8.
            verbose: show a progress bar.

        Raises:
            PriemoError: no images of this kind, or a number out of range.
        """
        require(min(n0, n) >= 1, "n0 and n", min(n0, n), "1 or more")
        require(0 < alpha < 1, "alpha", alpha, "in (0, 1)")
        x = torch.from_numpy(to_float(images)).to(device_of(self))
        labels, radii = np.full(len(x), ABSTAIN), np.zeros(len(x))
        todo = track(self._grey_images(x), "certifying", len(x), disable=not verbose)
        for i, image in enumerate(todo):
            found = int(self._counts(image, n0, "selection").argmax())
            hits = int(self._counts(image, n, "estimation")[found])
            radii[i] = certified_radius(hits, n, self.sigma, alpha)
            labels[i] = found if radii[i] > 0 else ABSTAIN
        return Certificates(labels, radii)

    def _grey_images(self, x: Tensor) -> Iterator[Tensor]:
        """(1, 1, h, w) of each image, after the checks of the network itself."""
        self.base.prepare(x)
        if x.shape[1] == 3:
            x = (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
        yield from torch.split(x, 1)

    def _vote(self, image: Tensor) -> Tensor:
        """(1, 1, h, w) to logits (1, 7)."""
        parts = [
            checkpoint(self._noisy, image, noise, use_reentrant=False)
            if torch.is_grad_enabled()
            else self._noisy(image, noise)
            for noise in self._noise(image, self.draws, "prediction")
        ]
        return log_votes(torch.cat(parts)[:, None])

    @torch.no_grad()
    def _counts(self, image: Tensor, n: int, use: str) -> Tensor:
        """(7,) of the predictions of `n` noisy copies."""
        votes = [self._noisy(image, noise).argmax(1) for noise in self._noise(image, n, use)]
        return torch.cat(votes).bincount(minlength=7)

    def _noisy(self, image: Tensor, noise: Tensor) -> Tensor:
        """Logits (draws, 7) of an image with each noise (draws, 1, h, w)."""
        logits: Tensor = self.base((image + noise).clamp(0, 1))
        return logits

    def _noise(self, image: Tensor, n: int, use: str) -> Iterator[Tensor]:
        """`n` draws (n, 1, h, w) in blocks, of a stream of their own for each use."""
        levels = (image.detach().clamp(0, 1) * 255).round().cpu().numpy().astype(np.uint8)
        words = f"{self.seed} {use} {levels.shape} ".encode() + levels.tobytes()
        generator = np.random.default_rng(int.from_bytes(sha256(words).digest()[:16], "big"))
        for start in range(0, n, BLOCK):
            shape = (min(BLOCK, n - start), *image.shape[1:])
            drawn = torch.from_numpy(generator.standard_normal(shape, np.float32))
            yield self.sigma * drawn.to(image)


@dataclass(frozen=True)
class Certificates:
    """What is certified of images.

    Attributes:
        labels: (n,) classes, or ABSTAIN.
        radii: (n,) L2 radii on pixels in [0, 1]; 0 where it abstains.
    """

    labels: Labels
    radii: npt.NDArray[np.float64]


def certified_radius(hits: int, n: int, sigma: float, alpha: float) -> float:
    """sigma times the normal quantile of the lower bound of `hits` in `n`; 0 if that is not above
    a half.

    Cohen et al. 2019, eq. 3 with p_B = 1 - p_A; the bound is Clopper and Pearson's, one-sided, of
    confidence 1 - alpha.

    Example:
        >>> round(certified_radius(1000, 1000, 0.25, 0.001), 4)  # 0.25 ppf(0.001^(1/1000))
        0.6158
        >>> certified_radius(520, 1000, 0.25, 0.001)
        0.0
    """
    test = binomtest(hits, n, alternative="greater")
    low = float(test.proportion_ci(1 - alpha, method="exact").low)
    return sigma * float(norm.ppf(low)) if low > 0.5 else 0.0


class VotingVictim(Composed):
    """The vote of several networks; the mean of their probabilities decides between equal votes.

    Softmax of the logits is the share of votes, in which the mean probability counts as one vote
    more.

    Args:
        networks: any number, each with an input of its own.
    """

    def __init__(self, *networks: Victim) -> None:
        super().__init__(networks[0])
        self.networks = nn.ModuleList(networks)

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7), the log of the shares of votes."""
        return log_votes(torch.stack([network(x) for network in self.networks]))


class AugmentedVictim(Composed):
    """Test-time augmentation: the mean probability over eight views of an image.

    An image and its mirror image, each as it is, shifted by 4 % of its side, and with a window 8 %
    smaller and larger, in the network's own input (Krizhevsky et al. 2012, section 4.1, average
    crops and mirror images in this way). What a window shows beyond the border repeats it.
    """

    def __init__(self, base: Victim) -> None:
        super().__init__(base)
        self.base = base

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 1 or 3, h, w) in [0, 1] to logits (n, 7), the log of mean probabilities."""
        own = self.base.prepare(x)
        logits = [
            self.base.head(self.base.embed(view(image, *window)))
            for image in (own, own.flip(-1))
            for window in VIEWS
        ]
        return log_mean(torch.stack(logits))


def view(x: Tensor, scale: float, shift: float) -> Tensor:
    """Images (n, c, h, w) seen through a window, bilinearly and of the same size.

    Args:
        scale: side of the window. shift: right and down of the middle. Both in sides of the image.
    """
    if (scale, shift) == (1.0, 0.0):
        return x
    window = x.new_tensor([[scale, 0, 2 * shift], [0, scale, 2 * shift]])
    grid = affine_grid(window.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return grid_sample(x, grid, padding_mode="border", align_corners=False)


def log_mean(logits: Tensor) -> Tensor:
    """(m, n, k) logits of m readings to the log (n, k) of their mean probabilities."""
    return logits.log_softmax(2).logsumexp(0) - math.log(len(logits))


def log_votes(logits: Tensor) -> Tensor:
    """(m, n, k) logits of m readings to the log (n, k) of the shares of their votes.

    The mean probability is one more vote, split between the classes: it is less than a whole one,
    so that it decides between equal numbers of votes only.
    """
    votes = one_hot(logits.argmax(2), logits.shape[2]).sum(0).to(logits)
    return torch.logaddexp(votes.log(), log_mean(logits)) - math.log(len(logits) + 1)
