/** The loop: a frame, its faces, and everybody who wants to know of them. */

import type { Detector, Face } from "../core/detector";
import type { Frame, Source } from "../sources/source";

const SMOOTHING = 0.9; // of the shown speed, share of the last value kept

/** What was seen in a frame. */
export interface Seen {
  readonly source: Source;
  readonly frame: Frame;
  readonly faces: readonly Face[];
  readonly framesPerSecond: number;
  readonly milliseconds: number;
}

/** Shows one source at a time. */
export class Viewer {
  private source: Source | undefined;
  private running: Promise<void> = Promise.resolve();
  private interval = 0;
  private cost = 0;

  constructor(
    private readonly detector: Detector,
    private readonly seen: (seen: Seen) => void,
    private readonly ended: (source: Source) => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Look at a source from now on; the one before is closed. */
  async open(source: Source): Promise<void> {
    this.source?.close();
    this.source = source;
    await this.running;
    if (this.source !== source) return;
    this.detector.reset();
    [this.interval, this.cost] = [0, 0];
    this.running = this.run(source);
  }

  pause(paused: boolean): void {
    this.source?.pause(paused);
  }

  private async run(source: Source): Promise<void> {
    try {
      await this.look(source);
    } catch (error) {
      if (this.source === source) this.failed(error);
    }
    source.close();
    if (this.source === source) this.ended(source);
  }

  private async look(source: Source): Promise<void> {
    let last: number | undefined;
    for (let frame = await source.next(); frame && this.source === source; frame = await source.next()) {
      const start = performance.now();
      const faces = source.still ? await this.detector.image(frame.pixels) : await this.detector.frame(frame.pixels);
      if (this.source !== source) return;
      const end = performance.now();
      this.cost = blend(this.cost, end - start);
      if (last !== undefined) this.interval = blend(this.interval, end - last);
      last = end;
      this.seen({ source, frame, faces, framesPerSecond: this.interval && 1000 / this.interval, milliseconds: this.cost });
    }
  }
}

function blend(before: number, now: number): number {
  return before ? SMOOTHING * before + (1 - SMOOTHING) * now : now;
}
