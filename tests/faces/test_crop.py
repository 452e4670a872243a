"""The crop recipe against a loop over pixels, and against geometry that is known."""

import math

import numpy as np
import pytest

from pipeline.faces.crop import CropRecipe, Square
from tests.data.bp4d_trees import face_image


def bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """The image at a continuous position, edge pixels repeated outside."""
    height, width = image.shape[:2]
    column, row = math.floor(x - 0.5), math.floor(y - 0.5)
    right, down = x - 0.5 - column, y - 0.5 - row
    value = np.zeros(image.shape[2])
    for i, j, weight in (
        (column, row, (1 - right) * (1 - down)),
        (column + 1, row, right * (1 - down)),
        (column, row + 1, (1 - right) * down),
        (column + 1, row + 1, right * down),
    ):
        value += weight * image[min(max(j, 0), height - 1), min(max(i, 0), width - 1)]
    return value


def cut_by_loop(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """What the module's docstring says, pixel by pixel."""
    k = max(1, math.ceil(square.side / size))
    n = k * size
    crop = np.zeros((size, size, 3))
    for v in range(n):
        for u in range(n):
            right, down = ((u + 0.5) / n - 0.5) * square.side, ((v + 0.5) / n - 0.5) * square.side
            x = square.x + math.cos(square.angle) * right - math.sin(square.angle) * down
            y = square.y + math.sin(square.angle) * right + math.cos(square.angle) * down
            crop[v // k, u // k] += bilinear(image, x, y) / k**2
    return crop


@pytest.mark.parametrize("square", [
    Square(40, 30, 24), Square(40.3, 29.8, 17.2, 0.4), Square(38, 33, 55.5, -0.7), Square(5, 58, 100, 0.2),
])  # fmt: skip
def test_cut_is_what_the_recipe_says(square: Square):
    image = face_image(3)
    crop = CropRecipe(24).cut(image, square)
    assert crop.shape == (24, 24, 3) and crop.dtype == np.uint8
    difference = np.abs(crop - cut_by_loop(image, square, 24))
    assert difference.max() <= 3 and difference.mean() <= 0.6  # OpenCV interpolates in fixed point, and rounds


def test_the_square_itself_is_cut_exactly():
    image = face_image(4)
    np.testing.assert_array_equal(CropRecipe(20).cut(image, Square(30, 25, 20)), image[15:35, 20:40])
    np.testing.assert_array_equal(CropRecipe(60).cut(image, CropRecipe(60).centre(60, 80)), image[:, 10:70])


def test_strong_reduction_is_an_average_not_a_pick():
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 254
    crop = CropRecipe(24).cut(stripes, CropRecipe(24).centre(256, 256))
    assert np.abs(crop.astype(int) - 127).max() <= 12


@pytest.mark.parametrize("degrees", [-170, -45, 0, 10, 90])
def test_eyes_are_level_where_the_recipe_puts_them(degrees: float):
    recipe = CropRecipe(100, side=4.0, eye_line=0.3)
    turn, middle, half = math.radians(degrees), np.array([120.0, 90.0]), 20.0
    along = np.array([math.cos(turn), math.sin(turn)]) * half
    square = recipe.from_eyes(middle - along, middle + along)
    assert square.side == pytest.approx(160)
    rotation = np.array(
        [[math.cos(square.angle), math.sin(square.angle)], [-math.sin(square.angle), math.cos(square.angle)]]
    )
    for eye, place in ((middle - along, (0.375, 0.3)), (middle + along, (0.625, 0.3))):
        in_crop = rotation @ (eye - (square.x, square.y)) / square.side + 0.5
        np.testing.assert_allclose(in_crop, place, atol=1e-9)


def test_a_box_stands_for_the_eyes_in_it():
    recipe = CropRecipe(64)
    square = recipe.from_box((100, 50, 80, 90))
    expected = recipe.from_eyes((140 - 18, 50 + 0.28 * 90), (140 + 18, 50 + 0.28 * 90))
    assert (square.x, square.y, square.side) == pytest.approx((expected.x, expected.y, expected.side))
    assert square.angle == 0


def test_grey_is_the_luma_of_the_colours():
    image = face_image(5)
    square = Square(40, 30, 31, 0.1)
    grey, colours = CropRecipe(24, grey=True).cut(image, square), CropRecipe(24).cut(image, square)
    assert grey.shape == CropRecipe(24, grey=True).shape == (24, 24, 1)
    np.testing.assert_allclose(grey[..., 0], colours @ np.array([0.299, 0.587, 0.114]), atol=0.51)


def test_recipe_survives_the_sidecar():
    recipe = CropRecipe(48, 2.5, 0.4, True)
    assert CropRecipe.from_dict({**recipe.to_dict(), "sources": {}}) == recipe
