"""Random changes of images against loops that know nothing of the vectorised code."""

import math

import numpy as np
import pytest

from pipeline.data.augmentation import FaceAugmentation, PadCrop

pytestmark = pytest.mark.filterwarnings("error")

FACES = FaceAugmentation(flip=True, rotation=10.0, zoom=0.1, shift=0.05)
STILL = np.array([[1.0, 0.0, 1.0, 0.0, 0.0]])


def images(n: int, height: int = 5, width: int = 7, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (n, height, width, channels), dtype=np.uint8)


def smooth_images(n: int, side: int, channels: int) -> np.ndarray:
    """Images in which neighbouring pixels differ little, so that interpolation can be compared."""
    y, x = np.mgrid[:side, :side]
    waves = [127 + 100 * np.sin(x / 5 + k) * np.cos(y / 7 + k + c) for k in range(n) for c in range(channels)]
    return np.moveaxis(np.array(waves, np.uint8).reshape(n, channels, side, side), 1, -1).copy()


def cropped(image: np.ndarray, flip: bool, y0: int, x0: int) -> np.ndarray:
    """One image (H, W, C), pixel by pixel; what lies outside of the image is 0."""
    height, width, _ = image.shape
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            source_y, source_x = y + y0 - 4, x + x0 - 4
            if 0 <= source_y < height and 0 <= source_x < width:
                result[y, x] = image[source_y, width - 1 - source_x if flip else source_x]
    return result


def warped(image: np.ndarray, mirror: float, angle: float, size: float, right: float, down: float) -> np.ndarray:
    """One image (H, W, C): mirrored, turned, resized about its centre, shifted; bilinear, pixel by pixel."""
    height, width, _ = image.shape
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            dx = x - (width - 1) / 2 - right * width
            dy = y - (height - 1) / 2 - down * height
            source_x = mirror * (math.cos(angle) * dx + math.sin(angle) * dy) / size + (width - 1) / 2
            source_y = (-math.sin(angle) * dx + math.cos(angle) * dy) / size + (height - 1) / 2
            result[y, x] = np.round(between(image, source_y, source_x))
    return result


def between(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """The colour (C,) at a point, the border repeated outside."""
    height, width, _ = image.shape
    total = np.zeros(image.shape[2])
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            share = (1 - abs(y - row)) * (1 - abs(x - column))
            total += share * image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    return total


def test_every_flip_and_crop_equals_the_loop():
    cases = [(flip, y, x) for flip in (False, True) for y in range(9) for x in range(9)]
    originals = images(len(cases))
    expected = np.stack([cropped(image, *case) for image, case in zip(originals, cases, strict=True)])
    result = PadCrop().apply(originals, np.array(cases))
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.uint8 and result.flags.c_contiguous


def test_no_flip_and_the_middle_corner_change_nothing():
    np.testing.assert_array_equal(PadCrop().apply(images(3), np.array([[0, 4, 4]] * 3)), images(3))


def test_flips_are_half_and_corners_uniform():
    n = 81_000
    flips, *corners = PadCrop().draw(n, 1, 0).T
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(n)
    counts = np.zeros((9, 9), int)
    for y, x in zip(*corners, strict=True):
        counts[y, x] += 1
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_pad_crop_draws_are_those_of_earlier_releases():
    """A change here (NumPy's included) means that old runs cannot be resumed or compared: say so in the change log."""
    assert PadCrop().draw(6, 1, 0).tolist() == [[1, 3, 7], [0, 3, 3], [1, 6, 5], [0, 5, 2], [0, 7, 3], [1, 3, 1]]


@pytest.mark.parametrize("channels", [1, 3])
def test_warps_equal_the_loop(channels: int):
    originals = smooth_images(12, 24, channels)
    draws = FaceAugmentation(flip=True, rotation=30.0, zoom=0.3, shift=0.2).draw(12, 5, 0)
    assert {-1.0, 1.0} == set(draws[:, 0])
    result = FACES.apply(originals, draws)
    assert result.dtype == np.uint8 and result.shape == originals.shape
    for image, found, draw in zip(originals, result, draws, strict=True):
        difference = np.abs(found.astype(int) - warped(image, *draw).astype(int))
        assert difference.max() <= 3 and difference.mean() < 0.6  # OpenCV interpolates in fractions of 1/32


def test_faces_that_are_not_changed_stay_exactly():
    np.testing.assert_array_equal(FACES.apply(images(4), np.repeat(STILL, 4, axis=0)), images(4))


def test_a_mirrored_face_is_exactly_mirrored():
    np.testing.assert_array_equal(FACES.apply(images(1), STILL * [-1, 1, 1, 1, 1]), images(1)[:, :, ::-1])


def test_a_shift_by_whole_pixels_repeats_the_border():
    result = FACES.apply(images(1), STILL + np.array([0, 0, 0, 2 / 7, -1 / 5]))[0]
    original = images(1)[0]
    for y in range(5):
        for x in range(7):
            np.testing.assert_array_equal(result[y, x], original[min(y + 1, 4), max(x - 2, 0)])


def test_draws_fill_their_ranges():
    mirror, angle, size, right, down = FACES.draw(20_000, 1, 0).T
    assert abs((mirror == -1).mean() - 0.5) < 0.02 and set(mirror) == {-1.0, 1.0}
    for values, low, high in ((np.rad2deg(angle), -10, 10), (right, -0.05, 0.05), (down, -0.05, 0.05)):
        assert low <= values.min() < 0.99 * low and 0.99 * high < values.max() <= high
        assert abs(values.mean()) < 0.02 * high
    assert 1 / 1.1 <= size.min() < 0.912 and 1.098 < size.max() <= 1.1
    assert np.log(size).mean() == pytest.approx(0, abs=0.002)


def test_nothing_asked_for_changes_nothing():
    nothing = FaceAugmentation(flip=False, rotation=0.0, zoom=0.0, shift=0.0)
    np.testing.assert_array_equal(nothing.apply(images(9), nothing.draw(9, 1, 0)), images(9))


@pytest.mark.parametrize("augmentation", [PadCrop(), FACES])
def test_draws_depend_on_seed_and_epoch_alone(augmentation):
    addresses = [(1, 0), (1, 1), (2, 0), (2, 1)]
    drawn = {address: augmentation.draw(100, *address) for address in addresses}
    assert len({draws.tobytes() for draws in drawn.values()}) == 4
    np.random.seed(7)  # the global state must not matter
    np.testing.assert_array_equal(augmentation.draw(100, 2, 1), drawn[2, 1])


@pytest.mark.parametrize("augmentation", [PadCrop(), FACES])
def test_the_source_stays_as_it_was(augmentation):
    originals = images(8)
    augmentation.apply(originals, augmentation.draw(8, 1, 0))[:] = 0
    np.testing.assert_array_equal(originals, images(8))
