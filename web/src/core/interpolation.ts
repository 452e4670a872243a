/** Bilinear samples of an image on a grid, added up in blocks. The loops are unrolled: they are most of a frame's time. */

import type { Pixels } from "./pixels";

/** What is around an image: its nearest edge pixel, or black. */
export type Border = "edge" | "black";

/**
 * size x size blocks of repeats x repeats samples; sample (0, 0) lies at (startX, startY), measured from the centre of the
 * image's first pixel, the next one in its row at (+along, +across), the one below at (-across, +along); 32-bit floats.
 */
export interface Grid {
  readonly size: number;
  readonly repeats: number;
  readonly along: number;
  readonly across: number;
  readonly startX: number;
  readonly startY: number;
}

export const f32 = Math.fround;
const HALF_TO_EVEN = 1.5 * 2 ** 23; // adding it to a 32-bit float below 2^22 rounds to a whole number

/** Rounds a 32-bit float, halves to even. */
export function roundHalfToEven(value: number): number {
  return f32(value + HALF_TO_EVEN) - HALF_TO_EVEN;
}

/** Adds the samples of any grid to `sums` (size, size, 3). */
export function addTurnedSamples(image: Pixels, grid: Grid, border: Border, sums: Int32Array): void {
  const { width, height, data } = image;
  const { size, repeats, along, across, startX, startY } = grid;
  const fine = size * repeats;
  const corners = new Uint8ClampedArray(16);
  for (let row = 0; row < fine; row++) {
    const rowX = f32(f32(-across * row) + startX);
    const rowY = f32(f32(along * row) + startY);
    let to = Math.floor(row / repeats) * size * 3;
    for (let column = 0, turn = 0; column < fine; column++) {
      const x = f32(along * column + rowX);
      const y = f32(across * column + rowY);
      const left = Math.floor(x);
      const top = Math.floor(y);
      const right = f32(x - left);
      const down = f32(y - top);
      let source = data;
      let at = (top * width + left) * 4;
      let below = at + width * 4;
      if (left < 0 || top < 0 || left >= width - 1 || top >= height - 1) {
        copyCorners(image, left, top, border, corners);
        [source, at, below] = [corners, 0, 8];
      }
      sums[to] += between(source[at], source[at + 4], source[below], source[below + 4], right, down);
      sums[to + 1] += between(source[at + 1], source[at + 5], source[below + 1], source[below + 5], right, down);
      sums[to + 2] += between(source[at + 2], source[at + 6], source[below + 2], source[below + 6], right, down);
      if (++turn === repeats) {
        turn = 0;
        to += 3;
      }
    }
  }
}

/** The same for a grid that is not turned: rows are interpolated once, then columns. */
export function addLevelSamples(image: Pixels, grid: Grid, border: Border, sums: Int32Array): void {
  const { size, repeats, along, startY } = grid;
  const fine = size * repeats;
  const rows = new LevelRows(image, grid, border);
  for (let row = 0; row < fine; row++) {
    const y = f32(f32(along * row) + startY);
    const top = Math.floor(y);
    const down = f32(y - top);
    const upper = rows.at(top);
    const lower = rows.at(top + 1);
    let to = Math.floor(row / repeats) * size * 3;
    for (let i = 0, turn = 0; i < fine * 3; i += 3) {
      sums[to] += roundHalfToEven(f32(upper[i] + down * f32(lower[i] - upper[i])));
      sums[to + 1] += roundHalfToEven(f32(upper[i + 1] + down * f32(lower[i + 1] - upper[i + 1])));
      sums[to + 2] += roundHalfToEven(f32(upper[i + 2] + down * f32(lower[i + 2] - upper[i + 2])));
      if (++turn === repeats) {
        turn = 0;
        to += 3;
      }
    }
  }
}

/** Rows of an image, interpolated along the row; the last two are kept. */
class LevelRows {
  private readonly kept: [Float32Array, Float32Array];
  private readonly numbers = [Number.NaN, Number.NaN];
  private readonly lefts: Int32Array;
  private readonly rights: Float32Array;

  constructor(
    private readonly image: Pixels,
    { size, repeats, along, startX }: Grid,
    private readonly border: Border,
  ) {
    const fine = size * repeats;
    this.kept = [new Float32Array(fine * 3), new Float32Array(fine * 3)];
    const places = Float32Array.from({ length: fine }, (_, column) => along * column + startX);
    this.lefts = Int32Array.from(places, Math.floor);
    this.rights = places.map((x) => x - Math.floor(x));
  }

  /** The row (n, 3) at a row of the image, which may lie outside. */
  at(row: number): Float32Array {
    const slot = row & 1;
    if (this.numbers[slot] !== row) {
      this.numbers[slot] = row;
      this.fill(row, this.kept[slot]);
    }
    return this.kept[slot];
  }

  private fill(row: number, out: Float32Array): void {
    const { width, height, data } = this.image;
    if (this.border === "black" && (row < 0 || row >= height)) {
      out.fill(0);
      return;
    }
    const start = Math.min(Math.max(row, 0), height - 1) * width * 4;
    const corners = new Uint8ClampedArray(16);
    for (let column = 0, to = 0; column < this.lefts.length; column++, to += 3) {
      const left = this.lefts[column];
      const right = this.rights[column];
      let source = data;
      let at = start + left * 4;
      if (left < 0 || left >= width - 1) {
        copyCorners(this.image, left, row, this.border, corners);
        [source, at] = [corners, 0];
      }
      out[to] = source[at] + right * (source[at + 4] - source[at]);
      out[to + 1] = source[at + 1] + right * (source[at + 5] - source[at + 1]);
      out[to + 2] = source[at + 2] + right * (source[at + 6] - source[at + 2]);
    }
  }
}

function between(first: number, second: number, third: number, fourth: number, right: number, down: number): number {
  const upper = f32(first + right * (second - first));
  const lower = f32(third + right * (fourth - third));
  return roundHalfToEven(f32(upper + down * f32(lower - upper)));
}

/** The four pixels at (left, top), (left + 1, top) and below them, some of which lie outside the image. */
function copyCorners({ width, height, data }: Pixels, left: number, top: number, border: Border, out: Uint8ClampedArray): void {
  for (let corner = 0; corner < 4; corner++) {
    const column = left + (corner & 1);
    const row = top + (corner >> 1);
    const inside = column >= 0 && row >= 0 && column < width && row < height;
    const x = Math.min(Math.max(column, 0), width - 1);
    const y = Math.min(Math.max(row, 0), height - 1);
    const at = (y * width + x) * 4;
    for (let c = 0; c < 3; c++) out[corner * 4 + c] = border === "black" && !inside ? 0 : data[at + c];
  }
}
