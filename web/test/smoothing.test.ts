import { expect, test } from "vitest";
import { UserError } from "../src/core/failure";
import { TemporalMedian, median } from "../src/core/smoothing";
import { golden } from "./golden";

test("the temporal median is Python's", () => {
  const smoothing = new TemporalMedian(5);
  const found = golden.medians.map((_, frame) => smoothing.smooth(0, [((frame * 7) % 11) / 11])[0]);
  found.forEach((value, frame) => expect(value).toBeCloseTo(golden.medians[frame], 12));
});

test("faces do not mix, and a forgotten face starts anew", () => {
  const smoothing = new TemporalMedian(3);
  smoothing.smooth(0, [0.1, 0.9]);
  smoothing.smooth(0, [0.3, 0.7]);
  expect(smoothing.smooth(1, [0.8, 0.8])).toEqual([0.8, 0.8]);
  expect(smoothing.smooth(0, [0.2, 0.1])).toEqual([0.2, 0.7]);
  smoothing.keep(new Set([1]));
  expect(smoothing.smooth(0, [0.6, 0.5])).toEqual([0.6, 0.5]);
});

test("one frame is not smoothed; an even number is refused", () => {
  expect(new TemporalMedian(1).smooth(0, [0.25])).toEqual([0.25]);
  for (const frames of [0, 2, 4, -1]) expect(() => new TemporalMedian(frames)).toThrow(UserError);
  expect(median([3, 1, 2, 10])).toBe(2.5);
});
