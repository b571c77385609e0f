"""The picture of the README: rendered faces, what is published of them, what victims predict.

    python docs/picture.py docs/picture.png

Made-up persons of the embedded data set only. The attack has access to `resnet`, `vgg` and
`repvgg`; it never saw `botnet`. Every published face is the 8-bit image, at 1:1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from priemo_bench import PriEMO, load_dataset, load_victim
from priemo_bench.contracts.image import EMOTIONS, ByteImages, publish, to_float
from priemo_bench.contracts.victim import as_art

SURROGATES, UNSEEN = ("resnet", "vgg", "repvgg"), "botnet"
BUDGETS = {0.997: 8 / 255, 0.98: 16 / 255}
"""SSIM floors and the most that a pixel may change."""
PERSON = 3
"""Which of the test split's persons."""
AMPLIFIED = 10
LEFT, TOP, GAP, LINE = 92, 24, 8, 17
FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
PALETTE = {True: "#9c2f13", False: "#0b6b3a"}
"""Of a reading: whether the victim still predicts the emotion."""


def readings(name: str, images: ByteImages) -> list[tuple[int, float]]:
    """What a victim predicts of each image, with its probability."""
    with torch.no_grad():
        scores = load_victim(name)(torch.from_numpy(to_float(images))).softmax(1)
    return [(int(row.argmax()), float(row.max())) for row in scores]


def protect(images: ByteImages, fit: ByteImages, floor: float) -> ByteImages:
    """The published images at an SSIM floor of BUDGETS."""
    first, *others = (as_art(load_victim(name), channels=3, size=112) for name in SURROGATES)
    attack = PriEMO(
        first, scope="image", surrogates=tuple(others), ssim_floor=floor, eps=BUDGETS[floor],
        confidence=1.5, diversity=0.7, steps=25, random_state=0, verbose=False,
    )  # fmt: skip
    attack.fit(to_float(fit))
    return publish(attack.generate(to_float(images)))


def sheet(images: ByteImages, labels: np.ndarray, published: dict[str, ByteImages]) -> Image.Image:
    """A column for each face: original, published, and the difference of the last around grey."""
    *_, last = published.values()
    difference = (128 + AMPLIFIED * (last.astype(int) - images)).clip(0, 255).astype(np.uint8)
    rows = {"original": images, **published, f"difference\nx{AMPLIFIED}": difference}
    n, _, side, _ = images.shape
    height = TOP + len(rows) * (side + GAP) + 2 * (len(rows) - 1) * LINE
    page = Image.new("RGB", (LEFT + n * (side + GAP), height), "white")
    draw = ImageDraw.Draw(page)
    bold, plain = (ImageFont.truetype(str(FONTS / f"DejaVuSans{kind}.ttf"), 12)
                   for kind in ("-Bold", ""))  # fmt: skip
    for k, label in enumerate(labels):
        draw.text((LEFT + k * (side + GAP), 4), EMOTIONS[label], fill="#222", font=bold)
    y = TOP
    for name, band in rows.items():
        draw.text((4, y + side // 2 - 10), name, fill="#222", font=bold)
        for k, image in enumerate(band):
            page.paste(Image.fromarray(image.transpose(1, 2, 0)), (LEFT + k * (side + GAP), y))
        y += side + GAP
        for victim in () if name.startswith("difference") else (SURROGATES[0], UNSEEN):
            draw.text((4, y - GAP + 2), victim, fill="#222", font=plain)
            for k, (emotion, share) in enumerate(readings(victim, band)):
                text = f"{EMOTIONS[emotion]} {100 * share:.0f} %"
                fill = PALETTE[emotion == labels[k]]
                draw.text((LEFT + k * (side + GAP), y - GAP + 2), text, fill=fill, font=plain)
            y += LINE
    return page


def main(path: Path) -> None:
    """Write the picture to `path`."""
    faces = load_dataset("rendered")
    test, fit = faces.split("test"), faces.split("fit").images[:70]
    images, labels = (own[7 * PERSON : 7 * PERSON + 7] for own in (test.images, test.labels))
    published = {f"published\nSSIM {floor}": protect(images, fit, floor) for floor in BUDGETS}
    sheet(images, labels, published).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
