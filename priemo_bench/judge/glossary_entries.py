"""The entries of the glossary, by subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HIGHER, LOWER = "higher is better", "lower is better"
SPENT = "share, above 1 where it is exceeded"
SHARE, SSIM, DB, GREY = "share from 0 to 1", "SSIM, at most 1", "dB", "grey levels of 255"
SCALE = "part of the grey scale, from 0 to 1"
MS, SECONDS, MEGABYTES = "milliseconds", "seconds", "megabytes"
COUNT, NUMBER, TEXT, YES = "count", "number", "text", "True or False"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: in csv files and DataFrames. heading: on pages and in the terminal; one with a % is
            in per cent there, while the column is a share.
        text: what it holds, without a full stop. unit: of the column, in words.
        direction: HIGHER or LOWER for whoever owns the photo, "" where it says neither.
    """

    name: str
    heading: str
    text: str
    unit: str = TEXT
    direction: str = ""


C = Column
KEYS = [
    C("dataset", "data set", "the faces that are protected"),
    C("budget", "budget",
      "what a published image may lose: equal (the first SSIM floor), equal-X (a further floor X), "
      "equal-psnr (a PSNR floor), conventional (what the method usually does)"),
    C("attack", "attack", "name of the protection method"),
    C("family", "family", "kind of method: per-image, universal, cryptographic, transform, "
      "control"),
    C("scope", "scope", "images that share one perturbation: image, class (an emotion), universal, "
      "generator (a network makes it), or - where there is none"),
    C("scale", "scale", "of a shared perturbation: scaled for each image, or one strength for all"),
    C("surrogate", "surrogate", "recognisers that the attack looked into, joined by +; - for none"),
    C("target", "target", "emotion that the attack steers to; - for none"),
    C("targeted", "targeted", "whether the attack steers to an emotion of its choice", YES),
    C("threat", "threat model", "which recognisers judge the row: white-box (its surrogates), "
      "transfer (others), no-model (all, for an attack without surrogates)"),
    C("victim", "victim", "name of the recogniser that predicts"),
    C("defense", "defense", "what the victim does to each image before it predicts; none for "
      "nothing"),
    C("seed", "seed", "of the random parts of an attack", COUNT),
]  # fmt: skip
BOUNDS = [
    C("ssim_floor", "SSIM floor", "SSIM that every published image keeps, with and without its "
      "border; empty where the budget has no such floor", SSIM),
    C("psnr_floor", "PSNR floor", "PSNR that every published image keeps; empty where the budget "
      "has no such floor", DB),
    C("eps", "cap", "the most that a pixel may change; empty where there is no cap", SCALE),
]  # fmt: skip
STANDING = [
    C("rank", "rank", "place by protection within data set, budget and threat model; no two rows "
      "of one rank differ by the paired test; empty for rows that are not ranked", COUNT, LOWER),
    C("rank_other", "rank at the other budget", "rank under the other equal budget", COUNT, LOWER),
    C("unused", "unused", "whether an attack that looks into a model leaves more than 5 % of its "
      "budget unused, and is not ranked", YES),
    C("status", "status", "ok, partial (without a seed), incomplete (without a victim, defense or "
      "metric) or failed"),
    C("flags", "flags", "reasons not to believe the row, by the checks that every row goes "
      "through"),
    C("n", "n", "faces that count: those that a judging victim classifies correctly when clean",
      COUNT),
    C("seeds", "seeds", "seeds that were run", COUNT),
    C("n_victims", "victims", "victims that protection_rate is the mean over", COUNT),
    C("surrogates", "surrogates", "different choices of surrogates that are pooled", COUNT),
]  # fmt: skip


def _interval(name: str, heading: str, of: str, unit: str = SHARE) -> list[Column]:
    """The two ends of a 95 % interval."""
    text = "end of the 95 % interval of {}, for faces (persons) and seeds"
    return [
        C(f"{name}_{end}", f"{heading} {end} %", f"{word} {text.format(of)}", unit, HIGHER)
        for end, word in (("low", "lower"), ("high", "upper"))
    ]


RATES = [
    C("protection_rate", "protection %", "of the faces that a victim classifies correctly when "
      "clean, the share that it no longer classifies as their emotion; mean over the judging "
      "victims", SHARE, HIGHER),
    *_interval("protection", "protection", "protection_rate"),
    C("together", "together %", "of the faces that all judging victims classify correctly when "
      "clean, the share that none of them does once published", SHARE, HIGHER),
    *_interval("together", "together", "together"),
    C("n_together", "together n", "faces that all judging victims classify correctly when clean",
      COUNT),
    C("lowest", "worst surrogate %", "lowest protection_rate among the choices of surrogates that "
      "are pooled", SHARE, HIGHER),
    C("macro_protection_rate", "macro %", "mean of the protection rate over the emotions of which "
      "every victim classifies at least 20 faces correctly", SHARE, HIGHER),
    *_interval("macro", "macro", "macro_protection_rate"),
    C("macro_left_out", "macro without", "emotions with too few faces for the macro rate"),
    C("transfer_rate", "transfer %", "protection rate over the victims that the attack never saw",
      SHARE, HIGHER),
    *_interval("transfer", "transfer", "transfer_rate"),
    C("n_transfer", "transfer victims", "victims that transfer_rate is the mean over", COUNT),
    C("next_low", "next victim low %", "lower end of the 95 % interval for one further such victim",
      SHARE, HIGHER),
    C("next_high", "next victim high %", "upper end of the 95 % interval for one further such "
      "victim", SHARE, HIGHER),
    C("transfer_minus_noise", "minus noise %", "transfer_rate less that of random noise under the "
      "same budget, a difference of shares", "difference of shares, -1 to 1", HIGHER),
    C("transfer_without_kin", "without kin %", "transfer_rate over the victims that share no "
      "weights, teacher, authors or data with a surrogate", SHARE, HIGHER),
    C("n_without_kin", "victims without kin", "victims that transfer_without_kin is the mean over",
      COUNT),
    C("targeted_rate", "targeted %", "of the faces neither labelled nor classified as the target "
      "when clean, the share that is classified as it once published", SHARE, HIGHER),
    C("flip_rate", "flips %", "share of all faces whose prediction changes", SHARE, HIGHER),
    C("collapse_class", "collapse to", "emotion that is predicted most often once published"),
    C("collapse_share", "collapse %", "its share of the predictions; near 100 % the protection "
      "rate says only how rare this emotion is", SHARE),
    C("seed_spread", "seeds sd %", "standard deviation of the protection rate over seeds", SHARE,
      LOWER),
    C("measure", "measure", "kind of the floors of a curve: equal (SSIM) or equal-psnr"),
    C("area", "area", "mean of the protection rate over the logarithm of the allowed loss of SSIM, "
      "over all SSIM floors of the run", SHARE, HIGHER),
    C("envelope", "area of the best others", "area under the curve of the best of all other "
      "methods, image by image, on the same images and victims; on those that judge another attack "
      "with a model", SHARE),
    C("optimality", "optimality", "area over that of the best others: near 1 no other method "
      "protects an image at a smaller loss, above 1 it does what no other does", NUMBER, HIGHER),
    C("drop_median", "median drop", "smallest allowed loss of SSIM, of the floors of the run, at "
      "which half of the images are protected", "loss of SSIM, 0 to 1", LOWER),
]  # fmt: skip
FILTERED = [
    C("survival", "survival %", "share of faces protected under every filter of the set, of those "
      "that a victim classifies correctly when clean under all of them", SHARE, HIGHER),
    *_interval("survival", "survival", "survival"),
    C("n_survival", "survival n", "faces that count in survival, mean over victims", COUNT),
    C("worst_defense", "worst filter %", "lowest protection rate under a single filter of the set",
      SHARE, HIGHER),
    C("worst_filter", "worst filter", "the filter that leaves the least protection"),
    C("filter_set", "filters", "name and version of the set of filters"),
    C("filter_cost", "clean cost %", "accuracy on clean faces that a victim gives up who must "
      "classify a face correctly under every filter, a difference of shares", SHARE, HIGHER),
    C("clean_accuracy", "clean accuracy %", "share of the clean faces that the victim classifies "
      "correctly, under the same defense", SHARE),
    C("draws", "draws", "draws of a random defense; rates are means over them", COUNT),
    C("draw_spread", "draws sd %", "standard deviation of the protection rate over these draws",
      SHARE),
]  # fmt: skip
QUALITY = [
    C("ssim", "SSIM", "of original and published image (Wang et al. 2004, border left out), mean",
      SSIM, HIGHER),
    C("ssim_drop", "SSIM lost", "1 - ssim", "loss of SSIM", LOWER),
    C("ssim_p05", "SSIM p05", "of 5 % of the published images the SSIM is lower", SSIM, HIGHER),
    C("ssim_worst", "worst SSIM", "of the published image that keeps the least", SSIM, HIGHER),
    C("ssim_full", "SSIM with border", "SSIM with the border of the image", SSIM, HIGHER),
    C("ssim_full_worst", "worst SSIM with border", "the least ssim_full of a published image", SSIM,
      HIGHER),
    C("psnr", "PSNR", "peak signal-to-noise ratio, mean over the images that changed; inf for none",
      DB, HIGHER),
    C("linf", "largest change", "the most that a pixel of any published image changed", SCALE,
      LOWER),
    C("within_budget", "within", "whether every published image keeps the budget", YES),
    C("budget_used", "budget used %", "mean share of the allowed loss that the images spend",
      SPENT),
    C("on_floor", "on floor %", "share of the images that spend at least 98 % of the allowed loss",
      SHARE),
    C("untouched", "untouched %", "share of the published images that equal their originals",
      SHARE),
    C("lpips", "LPIPS", "learned perceptual distance of original and published image, mean", NUMBER,
      LOWER),
    C("face_found", "face found %", "share of the published images in which a detector finds a "
      "face", SHARE, HIGHER),
    C("same_person", "same person %", "share of the published images that a face recogniser takes "
      "for the person of the original", SHARE, HIGHER),
]  # fmt: skip
COSTS = [
    C("strength", "eps (of 255)", "eps, or another knob of the attack, that was chosen on fit "
      "faces before the projection onto the budget; 0 to 1 for eps", NUMBER),
    C("factor", "factor", "by which a shared perturbation of one strength was multiplied", NUMBER),
    C("unchanged", "unchanged", "images for which no value of the attack's knob keeps the "
      "budget", COUNT),
    C("fit_seconds", "fit s", "of fitting the attack, once", SECONDS, LOWER),
    C("ms_per_image", "ms/image", "of protecting one image, after the fit", MS, LOWER),
    C("forwards_per_image", "forward passes", "of an image through surrogates, per published image",
      COUNT, LOWER),
    C("backwards_per_image", "backward passes", "gradients of surrogates, per published image",
      COUNT, LOWER),
    C("fit_forwards", "fit forward passes", "images through surrogates in the fit", COUNT, LOWER),
    C("fit_backwards", "fit backward passes", "gradients of images in the fit", COUNT, LOWER),
    C("peak_mb", "peak MB", "largest memory of the process", MEGABYTES, LOWER),
    *(
        C(f"{stage}_s", f"{stage} s", f"of the cell spent on: {what}", SECONDS, LOWER)
        for stage, what in {
            "fit": "fitting the attack", "choose": "choosing its strength",
            "attack": "computing perturbations", "match": "scaling them onto the budget",
            "measure": "metrics of quality", "predict": "predictions of the victims",
            "write": "writing files",
        }.items()
    ),
    C("total_s", "total s", "of the cell in all", SECONDS, LOWER),
]  # fmt: skip
ROWS = [
    C("image", "image", "name of the image in its data set"),
    C("person", "person", "who is on it, where that is known; else the image"),
    C("label", "label", "emotion that the data set gives, numbered as angry, disgust, fear, happy, "
      "sad, surprise, neutral", NUMBER),
    C("clean", "clean prediction", "emotion that the victim predicts for the original, under the "
      "same defense", NUMBER),
    C("prediction", "prediction", "emotion that the victim predicts for the published image",
      NUMBER),
    C("target_label", "target label", "emotion that the attack steers to; -1 for none", NUMBER),
    C("clean_probability", "clean confidence %", "probability that the victim gives its prediction "
      "for the original, to 0.001; empty where none is known", SHARE),
    C("label_probability", "label confidence %", "probability that the victim gives the label for "
      "the published image, to 0.001; empty where none is known", SHARE, LOWER),
    C("prediction_probability", "confidence %", "probability that the victim gives its prediction "
      "for the published image, to 0.001; empty where none is known", SHARE),
    C("part", "part", "what a cell has lost: cell for all of it, else a victim, defense or metric"),
    C("reason", "reason", "why it failed"),
    C("what", "what", "what the defense does"),
    C("source", "source", "where the defense is from"),
    C("images", "images", "faces of the sample", COUNT),
    C("correct", "clean accuracy, %", "share of the clean faces that the victim classifies "
      "correctly, under the defense", SHARE),
    C("low", "low %", "lower end of the 95 % interval of correct", SHARE),
    C("high", "high %", "upper end of the 95 % interval of correct", SHARE),
    C("name", "name", "of what the digest is of"),
    C("digest", "digest", "of the sources that made the rows, with those that they import"),
]  # fmt: skip
UNDER = {
    "transfer": [
        C("n", "n", "faces that this victim classifies correctly when clean", COUNT),
        C("threat", "threat model", "of this victim: white-box (it is a surrogate), transfer or "
          "no-model"),
        C("protection_rate", "protection %", "of the faces that this victim classifies correctly "
          "when clean, the share that it no longer classifies as their emotion", SHARE, HIGHER),
    ],
    "defenses": [
        C("n", "n", "faces that a victim classifies correctly when clean under the defense, mean "
          "over victims", COUNT),
    ],
    "code": [C("part", "part", "attacks, victims, defenses ... or the state of the whole")],
    "adversaries": [
        C("attack", "attack", "label of the protection method"),
        C("scope", "scope", "images that share a perturbation: universal, class, generator, image"),
        C("surrogates", "surrogates", "recognisers that the attack looked into, joined by +"),
        C("adversary", "adversary", "who tries to undo the protection"),
        C("threat", "threat model", "what he knows: oblivious, aware, adaptive, informed"),
        C("given", "given", "what he has, in words"),
        C("strength", "strength", "how much of it: images averaged, pairs or tries, share of "
          "protected faces", NUMBER),
        C("n", "n", "faces that count in protection: those the victim classifies correctly when "
          "clean", COUNT),
        C("protection", "protection %", "share of them that it no longer classifies correctly once "
          "published", SHARE, HIGHER),
        *_interval("protection", "protection", "protection"),
        C("n_after", "n after", "faces that count in protection_after: as in n for who undoes "
          "protection (average, leak); else classified correctly when clean by the victim together "
          "with the adversary, whose own damage is no protection", COUNT),
        C("protection_after", "protection after %", "share of them that are still misclassified "
          "once published", SHARE, HIGHER),
        *_interval("after", "protection after", "protection_after"),
        C("kept", "kept", "protection_after / protection", "ratio", HIGHER),
        C("ssim_to_clean", "SSIM to clean", "mean SSIM of what the adversary restored (else of the "
          "published image) to the original", SSIM),
        C("clean_accuracy", "clean accuracy %", "accuracy on clean faces without the adversary",
          SHARE),
        C("clean_accuracy_after", "clean accuracy after %", "accuracy on clean faces with him: the "
          "difference is what he pays", SHARE, LOWER),
        C("accuracy", "accuracy %", "on published faces without the adversary", SHARE, LOWER),
        C("accuracy_after", "accuracy after %", "on published faces with him", SHARE, LOWER),
        *(
            C(f"accuracy_{end}", f"accuracy after {end} %",
              f"{word} end of the 95 % interval of accuracy_after", SHARE, LOWER)
            for end, word in (("low", "lower"), ("high", "upper"))
        ),
        C("error", "error", "RMS of the adversary's estimate of a shared perturbation", GREY,
          HIGHER),
        C("auroc", "AUROC", "of a detector, published against clean faces", SHARE, LOWER),
        C("tpr_at_1fpr", "detected %", "share of published faces it detects where it takes 1 % of "
          "clean faces for them", SHARE, LOWER),
        C("hidden", "hidden %", "share that is protected and not detected, at a threshold set on "
          "other clean faces", SHARE, HIGHER),
        *_interval("hidden", "hidden", "hidden"),
        C("ms_per_image", "ms/image", "CPU time of protecting an image, after the fit", MS, LOWER),
        C("fit_passes", "fit passes", "images that went forward and backward through the "
          "surrogates in the fit", COUNT, LOWER),
        C("seconds", "seconds", "CPU time of the adversary", SECONDS, HIGHER),
    ],
    "claims": [
        C("victims", "victims", "victims that predicted", COUNT),
        C("least", "least %", "lowest protection among them", SHARE, HIGHER),
        C("mean", "mean %", "mean protection over them", SHARE, HIGHER),
        C("most", "most %", "highest protection among them", SHARE, HIGHER),
        C("trained", "trained %", "accuracy on published faces of a small network that learnt from "
          "them alone", SHARE, LOWER),
        C("fit_passes", "fit passes", "images that went forward and backward in the fit", COUNT,
          LOWER),
        C("ms_per_image", "ms/image", "CPU time of protecting an image, after the fit", MS, LOWER),
        C("ssim_to_clean", "SSIM to clean", "mean SSIM of the published image to the original",
          SSIM, HIGHER),
    ],
}  # fmt: skip
"""By table, columns that mean something else there, or that only it has."""


def entries() -> dict[str, Column]:
    """All of them: by name, those of one table (UNDER) by `TABLE.NAME`."""
    common = [*KEYS, *BOUNDS, *STANDING, *RATES, *FILTERED, *QUALITY, *COSTS, *ROWS]
    return dict(_named(common))


def _named(common: list[Column]) -> Iterator[tuple[str, Column]]:
    yield from ((own.name, own) for own in common)
    for table, columns in UNDER.items():
        yield from ((f"{table}.{own.name}", own) for own in columns)
