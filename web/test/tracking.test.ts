import { expect, test } from "vitest";
import { steady } from "../src/core/tracking";
import { golden } from "./golden";

test.each(golden.steady)("a face that keeps still is looked at the same way, as in Python: $next", ({ old, next, kept }) => {
  expect(steady(old, next)).toBe(kept ? old : next);
});
