/** The temporal median of a face's probabilities; the twin of pipeline/detect/values.py. */

import { UserError } from "./failure";

/** The median of the last `frames` probabilities of each face and action unit, this frame included. */
export class TemporalMedian {
  private readonly last = new Map<number, number[][]>();

  constructor(private readonly frames: number) {
    if (frames < 1 || frames % 2 === 0) {
      throw new UserError(`the temporal median takes an odd number of frames (1: none), not ${frames}`);
    }
  }

  /** The smoothed probabilities (A,) of a face. */
  smooth(face: number, probabilities: number[]): number[] {
    if (this.frames === 1) return probabilities;
    const last = [...(this.last.get(face) ?? []), probabilities].slice(-this.frames);
    this.last.set(face, last);
    return probabilities.map((_, unit) => median(last.map((frame) => frame[unit])));
  }

  /** Forget all faces but these. */
  keep(faces: Set<number>): void {
    for (const face of this.last.keys()) if (!faces.has(face)) this.last.delete(face);
  }
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
