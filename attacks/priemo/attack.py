"""Pri-EMO as an ART evasion attack: the front that users type, and the base of its scopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict, get_args

import torch
from art.attacks.attack import EvasionAttack
from torch import Tensor

from priemo_bench.attacks.base import (
    FittedAttack,
    as_surrogates,
    require_bool,
    require_int,
    require_number,
)
from priemo_bench.attacks.filters import as_names, check_filters, open_filters
from priemo_bench.attacks.priemo.objective import (
    Distance,
    FeatureLoss,
    FeatureVectors,
    Objective,
    Weighting,
)
from priemo_bench.attacks.surrogate import Layers, open_surrogates, predict_ensemble
from priemo_bench.contracts.attack import Scope
from priemo_bench.contracts.image import EMOTIONS, FloatImages, check_images
from priemo_bench.contracts.storage import Tensors
from priemo_bench.errors import PriemoError, require
from priemo_bench.quality.budget import Budget
from priemo_bench.registry import unknown

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier


LATER = frozenset({"ssim_floor", "eps", "psnr_floor", "delta", "batch_size", "verbose"})
"""Parameters that act when what was fitted is applied."""


class SharedParams(TypedDict, total=False):
    """Parameters of every scope, as documented at `PriEMO`."""

    targeted: bool
    ssim_floor: float | None
    eps: float | None
    psnr_floor: float | None
    surrogates: tuple[PyTorchClassifier, ...]
    layer: Layers
    loss: FeatureLoss
    distance: Distance
    weighting: Weighting
    filters: Sequence[str]
    delta: float
    batch_size: int
    random_state: int | None
    verbose: bool


class PriEMO(FittedAttack):
    """Feature-space protection of the emotion in a face, after Zeng et al. 2023.

    Zeng, Zhang, Liu, Ma, Liu: "Pri-EMO: a universal perturbation method for privacy preserving
    facial emotion recognition", Journal of Information and Intelligence 1(4), 2023, doi
    10.1016/j.jiixd.2023.08.001. Only the abstract is public; objective (objective.py), budget
    (geometry.py) and optimisers are this project's own.

    `PriEMO(classifier, scope, ...)` makes an instance of the class of the scope, whose docstring
    has the parameters that act there only:

    - "image", `ImagePriEMO`: one perturbation per image, optimised against all surrogates;
    - "class", `ClassPriEMO`: one universal perturbation per emotion of the original;
    - "universal", `UniversalPriEMO`: one universal perturbation for all images;
    - "generator", `GeneratorPriEMO`: a network that outputs a perturbation for each image.

    Args:
        classifier: ART `PyTorchClassifier` with clip values (0, 1); the first surrogate.
        scope: what shares one perturbation; "class" unless given.
        targeted: as in ART, `y` are then the targets.
        ssim_floor: SSIM that every published image keeps (both means), in (0, 1), or None.
        eps: largest change of a pixel in (0, 1], or None. A floor or a cap is needed.
        psnr_floor: PSNR in dB that every published image keeps, where ssim_floor is None.
        surrogates: further PyTorchClassifiers.
        layer: submodule whose output are the features, or several; None finds them (see
            `Surrogate`).
        loss: margin of the feature vectors ("feature"), of the logits ("logit"), or "both".
        distance: of features, "cosine" or "whitened" (cosine after whitening; objective.py).
        weighting: of surrogates, each with and without filters: the "sum" of their losses, or for
            each image the "worst".
        filters: names of defenses, or of sets of them ("set-1"), that the protection is to survive:
            the surrogates are to be fooled without and with each, at as many more passes.
        delta: `converged` when the fooling rate on the fit images is at least 1 - delta.
        batch_size: images per forward pass.
        random_state: seed.
        verbose: show a progress bar.

    Raises:
        PriemoError: a parameter out of range, or one that does not act in the scope.

    Example:
        >>> from priemo_bench.attacks import PriEMO
        >>> from priemo_bench.testing import toy_classifier, toy_faces
        >>> classifier, (x, y) = toy_classifier(), toy_faces()
        >>> attack = PriEMO(
        ...     classifier, "image", ssim_floor=0.7, eps=None, steps=10, verbose=False
        ... )
        >>> type(attack).__name__, isinstance(attack, PriEMO)
        ('ImagePriEMO', True)
        >>> protected = attack.fit(x, y).generate(x, y)
        >>> bool((classifier.predict(protected).argmax(1) != y).mean() > 0.9)
        True
    """

    attack_params = [
        *EvasionAttack.attack_params,
        "scope", "targeted", "ssim_floor", "eps", "psnr_floor", "surrogates", "layer", "loss",
        "distance", "weighting", "filters", "delta", "batch_size", "random_state", "verbose",
    ]  # fmt: skip
    scope: Scope
    _saved_class = "PriEMO"
    _scopes: ClassVar[dict[str, type[PriEMO]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "scope" in cls.__dict__:
            cls._scopes[cls.scope] = cls

    def __new__(
        cls, classifier: PyTorchClassifier | None = None, scope: str = "class", **params: object
    ) -> PriEMO:
        """The class of the scope, as `pathlib.Path` makes a path of the platform."""
        return object.__new__(_class_of(scope) if cls is PriEMO else cls)

    def __init__(
        self,
        classifier: PyTorchClassifier | None,
        scope: Scope | None = None,
        *,
        targeted: bool = False,
        ssim_floor: float | None = 0.997,
        eps: float | None = 8 / 255,
        psnr_floor: float | None = None,
        surrogates: tuple[PyTorchClassifier, ...] = (),
        layer: Layers = None,
        loss: FeatureLoss = "both",
        distance: Distance = "cosine",
        weighting: Weighting = "sum",
        filters: Sequence[str] = (),
        delta: float = 0.2,
        batch_size: int = 64,
        random_state: int | None = None,
        verbose: bool = True,
        **scope_params: object,
    ) -> None:
        super().__init__(estimator=classifier)
        self.scope = scope or self.scope
        self._check_scope()
        if scope_params:
            raise self._refused(next(iter(scope_params)))
        self._targeted = targeted
        self.ssim_floor = ssim_floor
        self.eps = eps
        self.psnr_floor = psnr_floor
        self.surrogates = as_surrogates(surrogates)
        self.layer = layer
        self.loss = loss
        self.distance = distance
        self.weighting = weighting
        self.filters = as_names(filters)
        self.delta = delta
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose
        self._objective: Objective | None = None

    @property
    def budget(self) -> Budget:
        """The budget that every published image keeps."""
        return Budget.of(self.ssim_floor, self.eps, self.psnr_floor)

    @property
    def noise(self) -> FloatImages | None:
        """The universal perturbation; None before `fit`, and for scopes image and generator."""
        return None

    @property
    def converged(self) -> bool:
        """Whether the perturbation fools at least 1 - delta of the fit images."""
        return self.fooling_rate is not None and self.fooling_rate >= 1 - self.delta

    def fit(self, x: FloatImages, y: object | None = None) -> Self:
        """Compute the universal feature vectors and, but for scope image, learn the perturbation.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: labels (n,) or one-hot, targets if targeted; None takes the predictions of the
                surrogates.
        """
        x = check_images(x)
        objective = self._new_objective()
        images = torch.tensor(x, device=objective.surrogates[0].device)
        predicted = objective.fit(torch.split(images, self.batch_size))
        labels = self._labels(y, images, predicted)
        objective.check_labels(labels)
        self._objective = objective
        self._fit_perturbation(images, labels, predicted, objective)
        return self

    def apply(self, x: FloatImages, y: object | None = None) -> FloatImages:
        """Add the fitted perturbation, without a gradient.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1].
            y: labels of the originals, for scope class only; without them, or targeted, the
                predictions of the surrogates.

        Returns:
            float32 images of the same shape, on the 8-bit grid where there is a floor.
        """
        raise PriemoError(f"apply() needs a fitted perturbation; scope {self.scope} has none")

    def generate(
        self, x: FloatImages, y: object | None = None, mask: FloatImages | None = None
    ) -> FloatImages:
        """Protected images, floats in [0, 1]; `x` is not modified.

        Scope image optimises each image, published on the 8-bit grid, with the feature vectors of
        `fit`; without it, with those of the embedded faces, or where these have none, by the logit
        margin. The other scopes fit on `x`, unless `fit` was called, and `apply`.

        Args:
            x: (n, 1 or 3, h, w) floats in [0, 1]. y: as for `fit`.
            mask: that can be broadcast to `x`; where it is 0, nothing is changed.
        """
        x = check_images(x)
        self._fit_unless_fitted(x, y)
        return self._protect(x, y, mask)

    def _forget(self, changed: set[str]) -> None:
        """The fit; but what only decides how it is applied, or the objective's settings, does not.

        A `fit` that a caller asked for is to be repeated.
        """
        if changed - LATER:
            self._objective = None
            self._fitted_on_purpose = False
            self.fooling_rate = None

    @property
    def _device(self) -> torch.device:
        """That of the surrogates; the CPU without any."""
        return self._objective.surrogates[0].device if self._objective else torch.device("cpu")

    @property
    def _n_classes(self) -> int:
        return len(EMOTIONS) if self.estimator is None else int(self.estimator.nb_classes)

    def _fit_perturbation(
        self, x: Tensor, labels: Tensor, predicted: Tensor, objective: Objective
    ) -> None:
        """What `fit` learns beyond the feature vectors."""

    def _protect(
        self, x: FloatImages, y: object | None, mask: FloatImages | None = None
    ) -> FloatImages:
        """`generate` on checked images, once fitted."""
        raise NotImplementedError

    def _state(self) -> tuple[Tensors, str]:
        """What was fitted, as arrays, and the shape "CxHxW" of the images it is for, or "any"."""
        vectors = self._objective.vectors if self._objective else []
        tensors = {
            f"{i}.{name}": value.cpu().numpy()
            for i, part in enumerate(vectors)
            for name, value in vars(part).items()
            if value is not None
        }
        return tensors, "any"

    def _restore(self, tensors: Tensors, image: str) -> None:
        """Inverse of `_state`; the feature vectors only where there are surrogates."""
        if self.estimator is None:
            return
        objective = self._new_objective()
        surrogates, saved = objective.surrogates, sum(name.endswith(".centre") for name in tensors)
        if len(surrogates) != saved:
            raise PriemoError(
                f"the file was fitted with {saved} surrogates, but {len(surrogates)} are given"
            )
        for i, surrogate in enumerate(surrogates):
            fields = {
                name.removeprefix(f"{i}."): torch.from_numpy(value).to(surrogate.device)
                for name, value in tensors.items()
                if name.startswith(f"{i}.")
            }
            vectors = FeatureVectors(**fields)
            vectors.check(surrogate.classes)
            objective.vectors.append(vectors)
        self._objective = objective

    def _new_objective(self) -> Objective:
        """The objective of the parameters, not fitted."""
        surrogates = open_surrogates(self.estimator, self.surrogates, self.layer)
        return Objective(
            surrogates, self._penalty, loss=self.loss, targeted=self.targeted,
            distance=self.distance, weighting=self.weighting, filters=open_filters(self.filters),
        )  # fmt: skip

    def _penalty(self, margins: Tensor) -> Tensor:
        """Penalty (n,) of scaled margins (n,), which the objective minimises."""
        raise NotImplementedError

    def _predict(self, x: Tensor) -> Tensor:
        """(n,) classes that the surrogates predict together."""
        surrogates = (self._objective or self._new_objective()).surrogates
        return predict_ensemble(surrogates, x.to(surrogates[0].device), self.batch_size)

    def _labels(self, y: object | None, x: Tensor, predicted: Tensor | None = None) -> Tensor:
        """(n,) labels or targets of images `x`, on their device: `y`, or what is predicted."""
        given = self._check_y(y, len(x), self._n_classes)
        if given is not None:
            return torch.from_numpy(given).to(x.device)
        return self._predict(x) if predicted is None else predicted

    def _refused(self, name: str) -> PriemoError:
        """The error for a constructor argument that this scope does not have."""
        scopes = sorted(scope for scope, cls in self._scopes.items() if name in cls.attack_params)
        if not scopes:
            return unknown("parameters", name, self.attack_params)
        return PriemoError(
            f"{name} does not act in scope {self.scope}; it does in {', '.join(scopes)}"
        )

    def _check_scope(self) -> None:
        own = type(self).scope
        if self.scope != own:
            other = _class_of(self.scope).__name__
            raise PriemoError(
                f"{type(self).__name__} has scope {own!r}, not {self.scope!r}; use {other}"
            )

    def _check_params(self) -> None:
        self._check_scope()
        for name, choices in (
            ("loss", FeatureLoss), ("distance", Distance), ("weighting", Weighting),
        ):  # fmt: skip
            known, value = get_args(choices), getattr(self, name)
            require(value in known, name, value, f"one of {', '.join(known)}")
        check_filters(self.filters)
        budget = self.budget  # checks its bounds
        if budget.eps is not None and budget.eps * 255 < 1 - 1e-6:
            raise PriemoError(
                f"eps is {budget.eps:g}, less than a grey level (1/255), so that no published "
                "image can change; give at least 1/255"
            )
        if budget.floor is None and budget.eps is None:
            raise PriemoError("ssim_floor, psnr_floor and eps are all None; give a floor or a cap")
        require_int(self, "batch_size")
        require_number(self, "delta", high=1)
        require_bool(self, "targeted", "verbose")


def _class_of(scope: str) -> type[PriEMO]:
    if scope not in PriEMO._scopes:
        raise unknown("scopes", str(scope), PriEMO._scopes)
    return PriEMO._scopes[scope]
