"""Folders of real image files: as torchvision has them, decoded once, mistakes in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import pil_to_tensor

from bench.core import output
from bench.core.errors import ConfigError, DataError
from bench.data import Dataset, folder, load


def write(place: Path, count: int, size: tuple[int, int] = (6, 5), mode: str = "RGB", end: str = "png") -> None:
    """Images of one class, all pixels random."""
    place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(count)
    for i in range(count):
        pixels = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(place / f"{i:02}.{end}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two classes, without parts."""
    for name, count in (("cat", 14), ("dog", 16)):
        write(tmp_path / "pictures" / name, count)
    return tmp_path / "pictures"


def read(place: Path, **options: Any) -> Dataset:
    cache = str(place.parent / "cache")
    return load({"name": f"folder:{place.name}", "root": str(place.parent), "cache": cache, **options}, 0)


def test_as_torchvision_has_it(place: Path) -> None:
    data = read(place)
    images = {pil_to_tensor(image).numpy().tobytes(): target for image, target in ImageFolder(place)}
    seen = 0
    for part in (data.train, data.validation, data.test):
        for image, target in zip(part.inputs, part.targets.tolist(), strict=True):
            assert images[image.numpy().tobytes()] == target
            seen += 1
    assert seen == len(images) == 30
    assert (data.classes, data.outputs, data.input_shape) == (("cat", "dog"), 2, (3, 5, 6))
    assert data.held_out == ("test", "validation")


def test_parts_that_are_there_are_taken(tmp_path: Path) -> None:
    for part, count in (("train", 9), ("val", 4), ("test", 3)):
        for name in ("ant", "bee") if part != "test" else ("bee",):
            write(tmp_path / "parted" / part / name, count)
    data = read(tmp_path / "parted")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [18, 8, 3]
    assert data.test.targets.tolist() == [1, 1, 1]  # by the training part's numbers
    assert data.held_out == ()


def test_images_are_resized(tmp_path: Path) -> None:
    """Their middle square is, so that nothing is stretched."""
    for name, size in (("a", (40, 20)), ("b", (20, 40))):
        write(tmp_path / "sizes" / name, 5, size)
    image = Image.new("RGB", (40, 20))
    image.paste((255, 0, 0), (10, 0, 30, 20))
    image.save(tmp_path / "sizes" / "a" / "red.png")
    data = read(tmp_path / "sizes", resize=8, test=1, validation=1)
    images = torch.cat([data.train.inputs, data.validation.inputs, data.test.inputs])
    assert images.shape == (11, 3, 8, 8)
    reddest = max(images, key=lambda one: int(one[0].sum()) - int(one[1:].sum()))
    assert (reddest[0, :, 1:-1] == 255).all()
    assert (reddest[1:] == 0).all()
    with pytest.raises(
        DataError, match=r"^data=folder:sizes: inputs of shapes .* expected one shape, or data\.resize="
    ):
        read(tmp_path / "sizes")


@pytest.mark.parametrize(
    ("modes", "channels"), [(("L", "L"), 1), (("L", "RGB"), 3), (("P", "RGBA"), 3), (("1", "LA"), 1)]
)
def test_grey_stays_grey_where_all_is(modes: tuple[str, str], channels: int, tmp_path: Path) -> None:
    for name, mode in zip("ab", modes, strict=True):
        write(tmp_path / "grey" / name, 6, mode=mode)
    assert read(tmp_path / "grey").input_shape == (channels, 5, 6)


# -- decoded once ------------------------------------------------------------------------------------------------------


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    real = folder._read

    def counted(path: Path, size: int | None) -> torch.Tensor:
        seen.append(path)
        return real(path, size)

    monkeypatch.setattr(folder, "_read", counted)
    return seen


def test_images_are_decoded_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.notice.cache_clear()
    seen = count_decoded(monkeypatch)
    first = read(place)
    assert "data=folder:pictures: decoding 30 images of " in capsys.readouterr().err
    assert read(place).digest() == first.digest() == read(place, cache=None).digest()
    assert len(seen) == 60  # once, and once without a cache
    write(place / "cat", 15)
    assert read(place).digest() != first.digest()
    read(place, resize=4)
    assert len(seen) == 60 + 31 + 31
    assert len(list((place.parent / "cache").glob("*.pt"))) == 2  # of each size the last


def test_a_damaged_cache_is_made_anew(place: Path) -> None:
    first = read(place).digest()
    (kept,) = (place.parent / "cache").glob("*.pt")
    for damage in (b"", kept.read_bytes()[:3000], b"x" * 4000):
        kept.write_bytes(damage)
        assert read(place).digest() == first
        assert torch.load(kept, weights_only=True)["images"].shape == (30, 3, 5, 6)


def test_a_cache_that_cannot_be_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output.notice.cache_clear()
    (place.parent / "file").touch()
    assert read(place, cache=str(place.parent / "file")).digest() == read(place).digest()
    assert "cannot be written, so images are decoded anew each time" in capsys.readouterr().err


def test_several_processes_decode_once(place: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from bench.data import load
options = {{"name": "folder:pictures", "root": {str(place.parent)!r}, "cache": {str(tmp_path / "shared")!r}}}
print(load(options, 0).digest())
"""
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in started]
    assert len({out for out, _ in ended}) == 1
    assert sum("decoding" in err for _, err in ended) == 1


# -- mistakes ----------------------------------------------------------------------------------------------------------


def damaged(place: Path) -> None:
    (place / "cat" / "03.png").write_bytes(b"no image")


def deep(place: Path) -> None:
    Image.fromarray(np.zeros((5, 6), np.uint16)).save(place / "cat" / "03.png")


def one_class(place: Path) -> None:
    for path in (place / "dog").iterdir():
        path.unlink()
    (place / "dog").rmdir()


def no_images(place: Path) -> None:
    for path in (place / "dog").iterdir():
        path.rename(path.with_suffix(".txt"))


def no_classes(place: Path) -> None:
    place.rename(place.with_name("away"))
    place.mkdir()


def lone_test(place: Path) -> None:
    place.rename(place.with_name("away"))
    write(place / "test" / "cat", 3)


def other_class(place: Path) -> None:
    place.rename(place.with_name("train"))
    place.mkdir()
    place.with_name("train").rename(place / "train")
    write(place / "test" / "cow", 3)


def missing(place: Path) -> None:
    place.rename(place.with_name("away"))


WRONG = [
    (damaged, r".*cat/03\.png cannot be read \(cannot identify image file"),
    (deep, r".*cat/03\.png cannot be read \(pixels of more than eight bits \(mode I;16\)"),
    (one_class, r"all examples of the train part are of class 0; expected several"),
    (no_images, r"no image among the first files of the folder dog\. Expected a folder for each class in"),
    (no_classes, r"there is no folder in .*Expected a folder for each class in"),
    (lone_test, r"a folder test, but none train beside it; expected both or none"),
    (other_class, r".*test has the class cow; expected those of the training part alone"),
    (missing, r"no such folder below data\.root=.*; expected PATH/CLASS/\*\.png or \.jpg"),
]


@pytest.mark.parametrize(("break_it", "message"), WRONG, ids=[broken.__name__ for broken, _ in WRONG])
def test_what_cannot_be_read(break_it: Any, message: str, place: Path) -> None:
    break_it(place)
    with pytest.raises(DataError, match=rf"^data=folder:pictures: {message}") as error:
        read(place)
    assert "\n" not in str(error.value)
    assert not list((place.parent / "cache").glob("*.pt")) or break_it is one_class or break_it is other_class


@pytest.mark.parametrize("resize", [0, -1, 10**6])
def test_a_size_that_cannot_be(resize: int, place: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"^data\.resize={resize}: expected a number of pixels from 1 to 16384, or null"
    ):
        read(place, resize=resize)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_folders_may_be_links(place: Path) -> None:
    link = place.with_name("linked")
    link.mkdir()
    for one in place.iterdir():
        (link / one.name).symlink_to(one)
    assert read(link).digest() == read(place).digest()


def test_what_is_no_folder_of_classes_is_refused_before_it_is_listed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``data=folder:/``, where to list all takes minutes."""
    output.notice.cache_clear()
    for name in ("a", "b", "c"):
        (place / "ant" / name).mkdir(parents=True)
        for i in range(10):
            (place / "ant" / name / str(i)).touch()
    write(place / "ant" / "d", 1)
    read(place)  # classes may have folders of their own
    assert "data=folder:pictures: listing the images in " in capsys.readouterr().err
    monkeypatch.setattr(folder, "GLANCE", 20)
    monkeypatch.setattr(folder, "stamp", lambda place: pytest.fail("all is listed"))
    with pytest.raises(DataError, match=r"^data=folder:pictures: no image among the first files of the folder ant"):
        read(place)


def test_ends_are_torchvisions() -> None:
    assert set(folder.ENDS) == set(IMG_EXTENSIONS)


def test_grey_parts_beside_coloured_ones_become_coloured(tmp_path: Path) -> None:
    for part, mode in (("train", "RGB"), ("val", "L"), ("test", "L")):
        for name in ("ant", "bee"):
            write(tmp_path / "parted" / part / name, 6, mode=mode)
    data = read(tmp_path / "parted")
    assert data.input_shape == (3, 5, 6)
    assert torch.equal(data.test.inputs[:, 0], data.test.inputs[:, 2])
    assert not torch.equal(data.train.inputs[:, 0], data.train.inputs[:, 2])


def test_hidden_folders_are_no_classes(place: Path) -> None:
    (place / ".ipynb_checkpoints").mkdir()
    write(place / ".thumbnails", 2)
    assert read(place).classes == ("cat", "dog")
