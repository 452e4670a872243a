/** What will be downloaded: the rows of the present source. */

import { csvHeader, csvRows } from "../core/csv";
import type { Face } from "../core/detector";
import type { Sidecar } from "../core/sidecar";

const LINES_IN_A_PART = 500;

/** Collects rows; older ones become blobs, which browsers keep out of the page's memory. */
export class Recorder {
  rows = 0;
  private frames = 0;
  private lines: string[] = [];
  private parts: Blob[] = [];

  constructor(private readonly sidecar: Sidecar) {}

  /** Start anew. */
  clear(): void {
    [this.rows, this.frames, this.lines, this.parts] = [0, 0, [], []];
  }

  /** The rows of the next frame. */
  add(timestamp: number | null, faces: readonly Face[]): void {
    const rows = csvRows(this.sidecar, ++this.frames, timestamp, faces);
    this.rows += rows.length;
    this.lines.push(...rows);
    if (this.lines.length >= LINES_IN_A_PART) this.parts = [new Blob([...this.parts, text(this.lines.splice(0))])];
  }

  /** All rows so far. */
  file(): Blob {
    return new Blob([text([csvHeader(this.sidecar)]), ...this.parts, text(this.lines)], { type: "text/csv" });
  }
}

/** Let the user keep a file. */
export function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function text(lines: string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
