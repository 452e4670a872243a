/** The last seconds of one face: a row for every action unit, filled strongly where it was present. */

import { learnedLabels, thresholdOf } from "../core/csv";
import type { Face } from "../core/detector";
import type { Sidecar } from "../core/sidecar";

const SECONDS = 30;
const [ROW, GAP, AXIS, NAMES] = [20, 5, 22, 46]; // CSS pixels
const STEP = 0.1; // seconds: what comes sooner is not drawn
const LONGEST_STEP = 1.0; // seconds without a face that leave a gap

interface Moment {
  readonly time: number;
  readonly values: readonly number[]; // none: no face
}

/** Draws on a canvas at the screen's resolution. */
export class Timeline {
  private moments: Moment[] = [];
  private readonly labels: string[];
  private readonly thresholds: number[];

  constructor(private readonly canvas: HTMLCanvasElement, sidecar: Sidecar) {
    this.labels = learnedLabels(sidecar);
    this.thresholds = this.labels.map((label) => thresholdOf(sidecar, label));
    canvas.style.height = `${this.labels.length * (ROW + GAP) + AXIS}px`;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Take up a face at a time in seconds; undefined: no face. */
  add(time: number, face: Face | undefined): void {
    if (this.moments.length && time - this.now() < STEP) return;
    const values = face?.success ? this.labels.map((label) => face.probabilities.get(label) as number) : [];
    this.moments.push({ time, values });
    this.moments = this.moments.filter((moment) => moment.time > time - SECONDS - LONGEST_STEP);
    this.draw();
  }

  clear(): void {
    this.moments = [];
    this.draw();
  }

  private draw(): void {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const scale = devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const context = canvas.getContext("2d");
    if (!context || !width) return;
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    context.font = `12px ${style.fontFamily}`;
    const colour = (name: string) => style.getPropertyValue(name);
    this.labels.forEach((label, unit) => this.drawRow(context, colour, label, unit, width));
    this.drawAxis(context, colour, width, height);
  }

  private drawRow(context: CanvasRenderingContext2D, colour: (name: string) => string, label: string, unit: number, width: number): void {
    const bottom = unit * (ROW + GAP) + ROW;
    context.fillStyle = colour("--track");
    context.fillRect(NAMES, bottom - ROW, width - NAMES, ROW);
    context.fillStyle = colour("--ink");
    context.textBaseline = "middle";
    context.fillText(label, 0, bottom - ROW / 2);
    for (const [from, to] of pairs(this.moments)) {
      if (to.time - from.time > LONGEST_STEP || !from.values.length || !to.values.length) continue;
      const left = Math.max(this.place(from.time, width), NAMES);
      context.fillStyle = colour(to.values[unit] >= this.thresholds[unit] ? "--present" : "--faint");
      const top = to.values[unit] * ROW;
      context.fillRect(left, bottom - top, Math.max(this.place(to.time, width) - left + 0.5, 0), top);
    }
  }

  private drawAxis(context: CanvasRenderingContext2D, colour: (name: string) => string, width: number, height: number): void {
    context.fillStyle = colour("--soft");
    context.textBaseline = "alphabetic";
    for (let ago = 0; ago <= SECONDS; ago += 10) {
      context.textAlign = ago === 0 ? "right" : ago === SECONDS ? "left" : "center";
      context.fillText(ago === 0 ? "now" : `${ago} s ago`, this.place(this.now() - ago, width), height - 4);
    }
    context.textAlign = "left";
  }

  private now(): number {
    return this.moments.at(-1)?.time ?? 0;
  }

  private place(time: number, width: number): number {
    return NAMES + ((time - this.now()) / SECONDS + 1) * (width - NAMES);
  }
}

function* pairs<T>(values: readonly T[]): Generator<[T, T]> {
  for (let i = 1; i < values.length; i++) yield [values[i - 1], values[i]];
}
