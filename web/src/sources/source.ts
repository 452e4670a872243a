/** Where pictures come from. */

import type { Pixels } from "../core/pixels";

/** One picture; `timestamp` in seconds, null for single images. */
export interface Frame {
  readonly pixels: Pixels;
  readonly picture: CanvasImageSource;
  readonly timestamp: number | null;
}

/** A camera, a video, a picture or the sample. */
export interface Source {
  readonly title: string;
  /** Whether it is one picture only. */
  readonly still: boolean;
  /** Whether people expect to see themselves as in a mirror. */
  readonly mirrored: boolean;
  /** Waits for the next frame; undefined when there are no more. */
  next(): Promise<Frame | undefined>;
  pause(paused: boolean): void;
  close(): void;
}
