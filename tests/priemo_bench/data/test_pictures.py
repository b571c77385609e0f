import errno

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from priemo_bench.data.pictures import fit, grey, read_picture, read_pictures, resize
from priemo_bench.errors import PriemoError


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "suffix", "read"),
    [
        ("L", "png", "L"),
        ("1", "png", "L"),
        ("LA", "png", "L"),
        ("P", "png", "RGB"),
        ("RGB", "jpg", "RGB"),
        ("RGBA", "png", "RGB"),
        ("CMYK", "jpg", "RGB"),
    ],
)
def test_every_8_bit_mode_is_brought_to_grey_or_rgb(tmp_path, mode, suffix, read):
    path = saved(tmp_path / f"a.{suffix}", Image.new("RGB", (8, 6), "white").convert(mode))
    picture, original = read_picture(path)
    assert (picture.mode, original, picture.size) == (read, mode, (8, 6))
    assert np.asarray(picture).min() >= 254


def test_transparent_becomes_white(tmp_path):
    picture, _ = read_picture(saved(tmp_path / "a.png", Image.new("RGBA", (4, 4), (9, 9, 9, 0))))
    assert np.asarray(picture).min() == 255


def test_sideways_photographs_are_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's right is up: turn by a quarter clockwise
    picture = Image.new("RGB", (8, 6), "black")
    picture.paste("white", (0, 0, 4, 6))
    turned, _ = read_picture(saved(tmp_path / "a.png", picture, exif=exif))
    assert turned.size == (6, 8)
    assert turned.getpixel((3, 1)) == (255, 255, 255)


def test_16_bit_and_float_pictures_are_refused(tmp_path):
    for name, dtype in (("a.png", np.uint16), ("b.tiff", np.float32)):
        path = saved(tmp_path / name, Image.fromarray(np.zeros((6, 6), dtype)))
        with pytest.raises(PriemoError, match=f"{name} has more than 8 bits a channel"):
            read_picture(path)


def test_text_is_no_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("not a picture")
    with pytest.raises(PriemoError, match=r"a\.jpg cannot be read as a picture") as error:
        read_picture(tmp_path / "a.jpg")
    assert "\n" not in str(error.value)


def test_a_reason_is_never_the_path_again(tmp_path):
    for name, data in (
        ("x.jpg", b"<html>404</html>"),
        ("e.jpg", b""),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PriemoError, match="no known type; save it as JPEG or PNG") as error:
            read_picture(tmp_path / name)
        assert str(error.value).count(name) == 1
    with pytest.raises(PriemoError, match=r"none\.png cannot be .*: No such file"):
        read_picture(tmp_path / "none.png")


def test_a_large_text_in_a_png(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 3_000_000, zip=True)
    path = saved(tmp_path / "a.png", Image.new("L", (20, 20)), pnginfo=info)
    with pytest.raises(PriemoError, match=r"a\.png cannot be read as a picture"):
        read_picture(path)


def test_a_picture_bomb_is_not_decoded(tmp_path, monkeypatch):
    path = saved(tmp_path / "bomb.png", Image.new("1", (8000, 8100)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(PriemoError, match=r"bomb\.png has 65 megapixels.*64 are the most"):
        read_picture(path)


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
def test_no_memory_is_no_fault_of_the_file(tmp_path, monkeypatch, error):
    def load(self):
        raise error

    path = saved(tmp_path / "a.png", Image.new("L", (20, 20)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(PriemoError, match=r"^memory ran out while .*a\.png was read$"):
        read_picture(path)


def test_a_large_photograph_is_decoded_small(tmp_path):
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    photo = colours.resize((1200, 900), Image.Resampling.BICUBIC)
    path = saved(tmp_path / "a.jpg", photo, quality=95)
    assert read_picture(path, 56)[0].size == (150, 113)  # an eighth, twice 56 or more
    small, whole = (fit(read_picture(path, size)[0], 56) for size in (56, None))
    assert abs(np.asarray(small, int) - np.asarray(whole, int)).mean() < 3
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(saved(tmp_path / "b.jpg", photo, exif=exif), 56)[0].size == (113, 150)


def test_damaged_bytes_are_one_sentence(tmp_path, patterns):
    rng = np.random.default_rng(0)
    for suffix in ("png", "jpg", "gif", "tiff", "webp", "bmp"):
        whole = saved(tmp_path / f"whole.{suffix}", Image.fromarray(patterns(1)[0, 0])).read_bytes()
        for _ in range(30):
            code = bytearray(whole)
            for at in rng.integers(0, len(code), 3):
                code[at] = rng.integers(256)
            path = tmp_path / f"damaged.{suffix}"
            path.write_bytes(code[: rng.integers(1, len(code) + 1)])
            try:
                read_picture(path)
            except PriemoError as error:
                said = str(error)
                assert "\n" not in said, said


def test_resize_is_antialiased_and_keeps_constants(patterns):
    stripes = np.tile(np.array([0, 255], np.uint8), (1, 1, 48, 24))
    assert abs(resize(stripes, 12)[0, 0, 2:-2, 2:-2].astype(int) - 127.5).max() < 40
    assert (resize(np.full((2, 3, 20, 30), 77, np.uint8), 56) == 77).all()
    x = patterns(2)
    assert resize(x, 48) is x
    assert resize(x, None) is x


def test_grey_only_if_all_are(tmp_path):
    dark = saved(tmp_path / "a.png", Image.new("L", (9, 9), 9))
    red = saved(tmp_path / "b.png", Image.new("RGB", (9, 9), "red"))
    images, notes = read_pictures([dark, dark], None)
    assert images.shape == (2, 1, 9, 9)
    both, _ = read_pictures([dark, red], None)
    assert both[:, :, 0, 0].tolist() == [[9, 9, 9], [255, 0, 0]]
    assert grey(both)[:, 0, 0, 0].tolist() == [9, 76]  # red weighs .299
    assert notes == []


def test_the_middle_of_oblong_pictures_is_used(tmp_path):
    picture = Image.new("L", (40, 20), 0)
    picture.paste(200, (10, 0, 30, 20))
    images, notes = read_pictures([saved(tmp_path / "a.png", picture)], 16)
    assert images[:, :, :, 2:-2].min() >= 198  # the edge may see the pixel beside it
    assert notes == ["1 pictures are not square: their middle was used"]


def test_pictures_that_differ_are_named(tmp_path):
    paths = [saved(tmp_path / f"{n}.png", Image.new("L", (n, 9))) for n in (9, 12)]
    with pytest.raises(PriemoError, match=r"9\.png is 9x9, .*12\.png is 12x9\); choose .* --size"):
        read_pictures(paths, None)


def test_another_colour_space_is_told(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = srgb.replace(b"sRGB", b"mine").replace(
        "sRGB".encode("utf-16-be"), "mine".encode("utf-16-be")
    )
    red = Image.new("RGB", (9, 9), "red")
    paths = [
        saved(tmp_path / f"{n}.png", red, icc_profile=profile)
        for n, profile in enumerate((srgb, other, None))
    ]
    _, notes = read_pictures(paths, None)
    assert notes == ["1 pictures are not in sRGB: their values were taken as they are"]
