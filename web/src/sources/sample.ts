/** The rendered faces that come with the page (web/sample/make.py), played again and again. */

import { UserError } from "../core/failure";
import { download } from "../core/download";
import { FrameReader } from "./canvas";
import facts from "./sample.json";
import type { Frame, Source } from "./source";

const ADDRESS = "sample/rendered_faces.webp";
const { size, columns, framesPerSecond } = facts;

/** Opens the sample. */
export async function openSample(): Promise<Source> {
  const content = await download(ADDRESS);
  try {
    const sheet = await createImageBitmap(new Blob([content as BlobPart], { type: "image/webp" }));
    return new SampleSource(sheet);
  } catch {
    throw new UserError("The rendered faces could not be read: this browser shows no WebP. Open a picture or a video.");
  }
}

class SampleSource implements Source {
  readonly title = "rendered faces";
  readonly still = false;
  readonly mirrored = false;
  private readonly reader = new FrameReader();
  private frame = -1;
  private due = performance.now();
  private wake: (() => void) | undefined;
  private paused = false;
  private closed = false;

  constructor(private readonly sheet: ImageBitmap) {}

  async next(): Promise<Frame | undefined> {
    await this.nextDue();
    if (this.closed) return undefined;
    this.frame++;
    const count = columns * (this.sheet.height / size);
    const shown = this.frame % count;
    const [x, y] = [(shown % columns) * size, Math.floor(shown / columns) * size];
    return this.reader.read(this.sheet, size, size, this.frame / framesPerSecond, x, y);
  }

  pause(paused: boolean): void {
    this.paused = paused;
    if (!paused) this.wake?.();
  }

  close(): void {
    this.closed = true;
    this.wake?.();
    this.sheet.close();
  }

  private async nextDue(): Promise<void> {
    this.due = Math.max(this.due + 1000 / framesPerSecond, performance.now());
    await new Promise((resolve) => setTimeout(resolve, this.due - performance.now()));
    while (this.paused && !this.closed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
