/** A part of an image made smaller, to the last bit what OpenCV 5 gets: every pixel is the mean of the area that it covers. */

import { f32, roundHalfToEven } from "./interpolation";
import type { Pixels } from "./pixels";

/** A part of an image: whole pixels, right and bottom not included. */
export interface Part {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Along an axis, position p covers the source pixels from starts[p]; their shares are shares[from[p]] to shares[from[p + 1] - 1]. */
interface Covers {
  readonly starts: Int32Array;
  readonly from: Int32Array;
  readonly shares: Float32Array;
}

const LEAST_SHARE = 1e-3; // of a source pixel: less is left out

/** The part at `scale` < 1 of its size, alpha 255. */
export function shrink(image: Pixels, part: Part, scale: number): Pixels {
  const [columns, rows] = [part.right - part.left, part.bottom - part.top];
  const [width, height] = [columns, rows].map((length) => Math.max(1, wholeNumber(length * scale)));
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const step = 1 / scale;
  if (Math.abs(step - Math.round(step)) < Number.EPSILON) {
    averageBlocks(image, part, Math.round(step), width, height, data);
  } else {
    averageAreas(image, part, covers(columns, width, step), covers(rows, height, step), data);
  }
  return { width, height, data };
}

function averageBlocks(image: Pixels, part: Part, step: number, width: number, height: number, data: Uint8ClampedArray): void {
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [left, top] = [part.left + column * step, part.top + row * step];
      const block = { left, top, right: Math.min(left + step, part.right), bottom: Math.min(top + step, part.bottom) };
      for (let c = 0; c < 3; c++) data[(row * width + column) * 4 + c] = blockMean(image, block, c, step);
    }
  }
}

/** The mean of one channel; blocks at the edge of a part may be smaller than step x step. */
function blockMean({ width, data }: Pixels, { left, top, right, bottom }: Part, channel: number, step: number): number {
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) sum += data[(y * width + x) * 4 + channel];
  }
  const count = (right - left) * (bottom - top);
  if (count < step * step) return roundHalfToEven(f32(sum / count));
  return step === 2 ? (sum + 2) >> 2 : roundHalfToEven(f32(sum * f32(1 / count)));
}

function averageAreas(image: Pixels, part: Part, across: Covers, down: Covers, data: Uint8ClampedArray): void {
  const line = new Float32Array(across.starts.length * 3);
  const sums = new Float32Array(line.length);
  let known = -1; // the source row in `line`: neighbours share one
  for (let row = 0, to = 0; row < down.starts.length; row++) {
    sums.fill(0);
    for (let i = down.from[row], source = down.starts[row]; i < down.from[row + 1]; i++, source++) {
      if (source !== known) shrinkRow(image, part.left, part.top + source, across, line);
      known = source;
      const share = down.shares[i];
      for (let j = 0; j < sums.length; j++) sums[j] += f32(line[j] * share);
    }
    for (let j = 0; j < sums.length; j += 3, to += 4) {
      data[to] = roundHalfToEven(sums[j]);
      data[to + 1] = roundHalfToEven(sums[j + 1]);
      data[to + 2] = roundHalfToEven(sums[j + 2]);
    }
  }
}

/** One row of the image from `left`, RGB (new width, 3), not rounded. */
function shrinkRow({ width, data }: Pixels, left: number, row: number, across: Covers, line: Float32Array): void {
  const { starts, from, shares } = across;
  for (let column = 0, to = 0; column < starts.length; column++, to += 3) {
    let at = (row * width + left + starts[column]) * 4;
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let i = from[column]; i < from[column + 1]; i++, at += 4) {
      red = f32(red + f32(data[at] * shares[i]));
      green = f32(green + f32(data[at + 1] * shares[i]));
      blue = f32(blue + f32(data[at + 2] * shares[i]));
    }
    line[to] = red;
    line[to + 1] = green;
    line[to + 2] = blue;
  }
}

function covers(length: number, positions: number, step: number): Covers {
  const starts = new Int32Array(positions);
  const from = new Int32Array(positions + 1);
  const all: number[] = [];
  for (let position = 0; position < positions; position++) {
    const start = position * step;
    const end = start + step;
    const area = Math.min(step, length - start);
    const lastWhole = Math.min(Math.floor(end), length - 1);
    const firstWhole = Math.min(Math.ceil(start), lastWhole);
    const hasStart = firstWhole - start > LEAST_SHARE;
    starts[position] = hasStart ? firstWhole - 1 : firstWhole;
    if (hasStart) all.push((firstWhole - start) / area);
    for (let pixel = firstWhole; pixel < lastWhole; pixel++) all.push(1 / area);
    if (end - lastWhole > LEAST_SHARE) all.push(Math.min(end - lastWhole, 1, area) / area);
    from[position + 1] = all.length;
  }
  return { starts, from, shares: Float32Array.from(all) };
}

/** Rounds, halves to even. */
function wholeNumber(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
