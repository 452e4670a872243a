/** A part of an image made smaller by an integer, to the last bit what OpenCV 5 gets: every pixel is the mean of a block. */

import { f32, roundHalfToEven } from "./interpolation";
import type { Pixels } from "./pixels";

/** The part of width x height blocks of `factor` x `factor` pixels from (left, top), alpha 255. */
export function shrink(image: Pixels, left: number, top: number, width: number, height: number, factor: number): Pixels {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let channel = 0; channel < 3; channel++) {
        const sum = blockSum(image, left + column * factor, top + row * factor, factor, channel);
        data[(row * width + column) * 4 + channel] =
          factor === 2 ? (sum + 2) >> 2 : roundHalfToEven(f32(sum * f32(1 / (factor * factor))));
      }
    }
  }
  return { width, height, data };
}

function blockSum({ width, data }: Pixels, left: number, top: number, factor: number, channel: number): number {
  let sum = 0;
  for (let y = top; y < top + factor; y++) {
    for (let x = left; x < left + factor; x++) sum += data[(y * width + x) * 4 + channel];
  }
  return sum;
}
