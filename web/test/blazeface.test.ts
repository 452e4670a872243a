import { expect, test } from "vitest";
import { anchors, candidates, merge } from "../src/core/blazeface";
import { commonShare, distinct, tilt } from "../src/core/geometry";
import { squares } from "../src/core/search";
import { shrink } from "../src/core/shrink";
import { bytes, golden, networkOutput, testImage } from "./golden";

const [THRESHOLD, OVERLAP] = [0.9995, 0.3]; // of tests/web/web_golden.py

test("anchors are Python's", () => {
  expect(anchors()).toHaveLength(896);
  expect([0, 1, 2, 511, 512, 895].map((row) => anchors()[row])).toEqual(golden.anchors);
});

test("faces are decoded and merged as in Python", () => {
  const { points, logits } = networkOutput();
  const found = merge(candidates(points, logits, THRESHOLD), OVERLAP);
  expect(found).toHaveLength(golden.faces.length);
  found.forEach((face, row) => {
    expect(face.score).toBeCloseTo(golden.faces[row].score, 12);
    face.points.forEach((value, column) => expect(value).toBeCloseTo(golden.faces[row].points[column], 9));
  });
});

test("nothing is found below the threshold", () => {
  expect(candidates(new Float32Array(896 * 16), new Float32Array(896).fill(-1), 0.5)).toEqual([]);
});

test.each(Object.entries(golden.squares))("squares of %s are Python's", (name, expected) => {
  const [height, width, least] = name.split(/[x/]/).map(Number);
  const found = squares(height, width, least).map(({ x, y, side }) => [x, y, side]);
  expect(found).toHaveLength(expected.length);
  found.flat().forEach((value, at) => expect(value).toBeCloseTo(expected.flat()[at], 9));
});

const face = (x: number, score: number) =>
  ({ box: [x, 0, 10, 10], rightEye: [x + 3, 4], leftEye: [x + 7, 8], score }) as const;

test("of two boxes on one face the more probable stays", () => {
  expect(distinct([face(1, 0.6), face(0, 0.9), face(30, 0.7)])).toEqual([face(0, 0.9), face(30, 0.7)]);
  expect(commonShare(face(0, 1).box, face(5, 1).box)).toBeCloseTo(0.5);
  expect(commonShare(face(0, 1).box, face(50, 1).box)).toBe(0);
  expect(tilt(face(0, 1))).toBeCloseTo(Math.PI / 4);
});

test.each(golden.shrunk)("a part shrunk by $factor has Python's pixels", ({ part, factor, rgb }) => {
  const small = shrink(testImage(), ...part, factor);
  expect([small.width, small.height]).toEqual(part.slice(2));
  expect(small.data.filter((_, at) => at % 4 < 3)).toEqual(new Uint8ClampedArray(bytes(rgb)));
});
