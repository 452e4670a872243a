/** golden.json, which `python -m tests.web.web_golden` writes, and the network's output that a formula there makes. */

import { readFileSync } from "node:fs";
import type { Point } from "../src/core/crop";
import type { Border } from "../src/core/interpolation";
import type { Pixels } from "../src/core/pixels";
import type { Square } from "../src/core/sampling";

interface Golden {
  readonly picture: { width: number; height: number; rgb: string }; // uint8, row by row
  readonly samples: { square: Square; size: number; border: Border; rgb: string }[];
  readonly crops: { grey: boolean; right: Point; left: Point; pixels: string }[];
  readonly shrunk: { part: [number, number, number, number]; factor: number; rgb: string }[];
  readonly anchors: number[][];
  readonly faces: { points: number[]; score: number }[];
  readonly squares: Record<string, number[][]>;
  readonly medians: number[];
  readonly steady: { old: Square; next: Square; kept: boolean }[];
}

export const golden: Golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8"));

export function bytes(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

export function testImage(): Pixels {
  const { width, height, rgb } = golden.picture;
  const colours = bytes(rgb);
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) data.set(colours.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
  return { width, height, data };
}

export function networkOutput(): { points: Float32Array; logits: Float32Array } {
  const points = Float32Array.from({ length: 896 * 16 }, (_, at) => {
    const value = (((at * 7919) % 2001) - 1000) / 40;
    return at % 16 === 2 || at % 16 === 3 ? 20 + Math.abs(value) : value;
  });
  const logits = Float32Array.from({ length: 896 }, (_, at) => (((at * 104729) % 4001) - 2000) / 200);
  return { points, logits };
}
