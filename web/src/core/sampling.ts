/**
 * A square of an image at another size, to the last bit what pipeline/faces/crop.py gets from OpenCV 5:
 * coordinates and interpolation in 32-bit floats with fused multiply-add, means of k x k samples, halves to even.
 */

import { type Border, type Grid, addLevelSamples, addTurnedSamples, f32, roundHalfToEven } from "./interpolation";
import type { Pixels } from "./pixels";

/** A square in an image: centre and side in pixels, turned clockwise by `angle` radians; pixel (i, j) has its centre at (i + 0.5, j + 0.5). */
export interface Square {
  readonly x: number;
  readonly y: number;
  readonly side: number;
  readonly angle: number;
}

/** The square as RGB (size, size, 3), averaged where it gets smaller. */
export function sample(image: Pixels, square: Square, size: number, border: Border = "edge"): Uint8Array {
  const repeats = Math.max(1, Math.ceil(square.side / size));
  const sums = new Int32Array(size * size * 3);
  const addSamples = square.angle === 0 ? addLevelSamples : addTurnedSamples;
  addSamples(image, grid(square, size, repeats), border, sums);
  return means(sums, repeats);
}

function grid(square: Square, size: number, repeats: number): Grid {
  const fine = size * repeats;
  const step = square.side / fine;
  const along = Math.cos(square.angle) * step;
  const across = Math.sin(square.angle) * step;
  const middle = (fine - 1) / 2;
  return {
    size,
    repeats,
    along: f32(along),
    across: f32(across),
    startX: f32(square.x - 0.5 - (along - across) * middle),
    startY: f32(square.y - 0.5 - (across + along) * middle),
  };
}

function means(sums: Int32Array, repeats: number): Uint8Array {
  const out = new Uint8Array(sums.length);
  if (repeats === 1) {
    out.set(sums);
  } else if (repeats === 2) {
    for (let i = 0; i < sums.length; i++) out[i] = (sums[i] + 2) >> 2; // OpenCV's 2 x 2 means round halves up
  } else {
    const share = f32(1 / (repeats * repeats));
    for (let i = 0; i < sums.length; i++) out[i] = roundHalfToEven(f32(sums[i] * share));
  }
  return out;
}
