import { describe, expect, test } from "vitest";
import { type CropRecipe, cut, squareFromEyes } from "../src/core/crop";
import { roundHalfToEven } from "../src/core/interpolation";
import { sample } from "../src/core/sampling";
import { bytes, golden, testImage } from "./golden";

const RECIPE: CropRecipe = { size: 100, side: 4, eyeLine: 0.3, grey: false };

describe("the same pixels as Python", () => {
  test.each(golden.samples)("sample $square $border", ({ square, size, border, rgb }) => {
    expect(sample(testImage(), square, size, border)).toEqual(bytes(rgb));
  });
  test.each(golden.crops)("crop, grey $grey, eyes $right $left", ({ grey, right, left, pixels }) => {
    const recipe = { size: 24, side: 2.4, eyeLine: 0.4, grey };
    expect(cut(recipe, testImage(), squareFromEyes(recipe, right, left))).toEqual(bytes(pixels));
  });
});

test("a square on whole pixels is copied", () => {
  const image = testImage();
  const crop = sample(image, { x: 30, y: 25, side: 20, angle: 0 }, 20);
  const expected = Array.from({ length: 20 * 20 * 3 }, (_, at) => {
    const [c, x, y] = [at % 3, Math.floor(at / 3) % 20, Math.floor(at / 60)];
    return image.data[((15 + y) * image.width + 20 + x) * 4 + c];
  });
  expect([...crop]).toEqual(expected);
});

test("turned by nothing is the same as not turned", () => {
  const square = { x: 41.3, y: 30.9, side: 50.7 };
  const level = sample(testImage(), { ...square, angle: 0 }, 16);
  expect(sample(testImage(), { ...square, angle: 1e-12 }, 16)).toEqual(level);
});

test.each([-170, -45, 0, 10, 90])("eyes are level where the recipe puts them, turned by %i degrees", (degrees) => {
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const square = squareFromEyes(RECIPE, [120 - 20 * cosine, 90 - 20 * sine], [120 + 20 * cosine, 90 + 20 * sine]);
  expect(square.side).toBeCloseTo(160, 9);
  const [dx, dy] = [120 + 20 * cosine - square.x, 90 + 20 * sine - square.y];
  expect((cosine * dx + sine * dy) / square.side + 0.5).toBeCloseTo(0.625, 9);
  expect((cosine * dy - sine * dx) / square.side + 0.5).toBeCloseTo(0.3, 9);
});

test("halves are rounded to even", () => {
  expect([0.5, 1.5, 2.5, 2.4999, 254.5, 255].map((value) => roundHalfToEven(Math.fround(value)))).toEqual([0, 2, 2, 2, 254, 255]);
});
