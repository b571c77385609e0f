"""A keyed pool: several perturbations for each emotion, of which a secret key chooses one.

Whoever sees many images that share one perturbation can average them and subtract it
(`priemo_bench/adversaries/averaging.py`). From a pool he gets the mean of its members, and whoever
has a leaked pool, but not its key, does not know which member an image has.
"""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from priemo_bench.attacks.base import require_bool, require_int
from priemo_bench.attacks.priemo.fitted import FitSet
from priemo_bench.attacks.priemo.objective import Objective
from priemo_bench.attacks.priemo.universal import ClassPriEMO, project
from priemo_bench.contracts.attack import Scope, Traits
from priemo_bench.contracts.image import FloatImages
from priemo_bench.contracts.preset import Preset
from priemo_bench.contracts.storage import Tensors
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

KEY_VARIABLE = "PRIEMO_KEY"
"""Environment variable that `load` takes a key from where it is given none."""
SHORTEST_KEY = 16
"""Bytes of a key."""


class PoolPriEMO(ClassPriEMO):
    """Scope class with a pool of `members` perturbations for each emotion.

    HMAC-SHA256 of an image's bytes, with the key, chooses its member. A fit takes `members` times
    the passes of `ClassPriEMO`, one member after the other. The first is that of `ClassPriEMO`
    (the pool of one member is that attack); each further one is orthogonal, emotion by emotion, to
    those before it, so that little of it is in their mean. (Members that also aim at different
    emotions protected fewer held-out fit faces of FER2013, before and after averaging.)

    The key is in no image, and not in a saved file unless `save_key` is set. Without one it is
    derived from `random_state`, so that benchmarks repeat: that is no secret.

    Args:
        classifier, scope, params: as for `ClassPriEMO`.
        members: number of perturbations for each emotion.
        key: secret, 16 bytes or more, or text of as many; None derives it from `random_state`, or
            makes one where that is None too.
        save_key: whether `save` writes the key.

    Raises:
        PriemoError: a parameter out of range.

    Example:
        >>> from priemo_bench.attacks.priemo.pool import PoolPriEMO
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> attack = PoolPriEMO(
        ...     toy_classifier(), members=2, steps=2, key="correct horse battery", verbose=False
        ... )
        >>> x, y = toy_faces(28)
        >>> attack.fit(x, y).noise.shape
        (14, 1, 32, 32)
        >>> sorted(set(attack.members_of(x).tolist()))
        [0, 1]
    """

    attack_params = [*ClassPriEMO.attack_params, "members", "save_key"]
    _saved_class = "PoolPriEMO"

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        scope: Scope | None = None,
        *,
        members: int = 8,
        key: str | bytes | None = None,
        save_key: bool = False,
        **params: Any,
    ) -> None:
        self.members = members
        self.save_key = save_key
        self._secret = key.encode() if isinstance(key, str) else key
        self._lost = False
        super().__init__(classifier, scope, **params)

    @property
    def key(self) -> bytes:
        """The key; whoever has it and the pool can undo what it does.

        Raises:
            PriemoError: the pool was loaded without its secret key.
        """
        if self._lost:
            raise PriemoError(
                "the pool was saved without its key: give it as load(path, key=...) or in "
                f"{KEY_VARIABLE}"
            )
        if self._secret is None and self.random_state is None:
            self._secret = secrets.token_bytes(32)
        if self._secret is None:
            return sha256(f"priemo-pool {self.random_state}".encode()).digest()
        return self._secret

    def members_of(self, x: FloatImages) -> Tensor:
        """(n,) which member protects each image, by its bytes and the key alone.

        Args:
            x: (n, c, h, w) floats in [0, 1], which count as the 8-bit pixels they round to.
        """
        levels = np.rint(np.asarray(x) * 255).astype(np.uint8)
        found = [_hashed(self.key, image) % self.members for image in levels]
        return torch.tensor(found, dtype=torch.long)

    def _train(self, data: FitSet, objective: Objective) -> None:
        params = {name: getattr(self, name) for name in ClassPriEMO.attack_params}
        params = {name: value for name, value in params.items() if name != "summary_writer"}
        found: list[Tensor] = []
        for _ in range(self.members):
            member = _Member(self.estimator, others=found, **params)
            member._train(data, objective)
            assert member._u is not None
            u = project(apart(member._u, found), self.budget) if found else member._u
            found.append(u)
        self._u = torch.cat(found)

    @property
    def _n_classes(self) -> int:
        return super()._n_classes if self._u is None else len(self._u) // self.members

    @property
    def _n_groups(self) -> int:
        return self._n_classes * self.members

    def _groups(self, x: Tensor, y: object | None) -> Tensor:
        """Members of one emotion stand `_n_classes` apart."""
        own = super()._groups(x, y)
        return self.members_of(x.cpu().numpy()).to(own.device) * self._n_classes + own

    def _state(self) -> tuple[Tensors, str]:
        tensors, image = super()._state()
        secret = self._lost or self._secret is not None or self.random_state is None
        if tensors and (self.save_key or secret):
            key = self.key if self.save_key else b""
            tensors["key"] = np.frombuffer(key, np.uint8)
        return tensors, image

    def _restore(self, tensors: Tensors, image: str) -> None:
        super()._restore(tensors, image)
        if self._u is not None and len(self._u) % self.members:
            raise ValueError(f"it holds {len(self._u)} perturbations of {self.members} members")
        saved, given = tensors.get("key"), os.environ.get(KEY_VARIABLE)
        if saved is not None and (saved.dtype != np.uint8 or saved.ndim != 1):
            raise ValueError(f"its key is {saved.dtype} of shape {saved.shape}")
        if self._secret is None and saved is not None and len(saved):
            self._secret = saved.tobytes()
        if self._secret is None and given:
            self._secret = given.encode()
        self._lost = self._secret is None and saved is not None
        self._check_key()

    def _check_params(self) -> None:
        super()._check_params()
        require_int(self, "members")
        require_bool(self, "save_key")
        self._check_key()

    def _check_key(self) -> None:
        key = self._secret
        if key is not None and not isinstance(key, bytes):
            raise PriemoError(f"key is {type(key).__name__}; it must be text or bytes")
        if key is not None and len(key) < SHORTEST_KEY:
            raise PriemoError(f"key has {len(key)} bytes; it must have {SHORTEST_KEY} or more")


class _Member(ClassPriEMO):
    """One member, whose perturbations are orthogonal to those of `others`."""

    def __init__(self, *args: Any, others: list[Tensor], **params: Any) -> None:
        super().__init__(*args, **params)
        self._others = others

    def _gradient(self, u: Tensor, batch: FitSet, objective: Objective) -> Tensor:
        gradient = super()._gradient(apart(u, self._others), batch, objective)
        return apart(gradient, self._others)


def apart(u: Tensor, others: list[Tensor]) -> Tensor:
    """`u` (groups, c, h, w) less its components along each of `others`, group by group.

    Gram and Schmidt's step, for others that are orthogonal to each other.
    """
    for other in others:
        along = (u * other).sum((1, 2, 3), keepdim=True)
        u = u - other * along / other.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-20)
    return u


def _hashed(key: bytes, image: np.ndarray[Any, Any]) -> int:
    """64 bits of the HMAC of an image's shape and bytes (c, h, w)."""
    words = f"{image.shape} ".encode() + np.ascontiguousarray(image).tobytes()
    return int.from_bytes(hmac.digest(key, words, "sha256")[:8], "big")


priemo_pool = Preset(
    PoolPriEMO,
    Traits("universal", "class", "many", targeted=True, random=True, budgeted=True),
    summary="Pri-EMO, scope class, several perturbations picked by a secret key",
    source="Zeng et al. 2023, doi:10.1016/j.jiixd.2023.08.001; the design is ours",
)
