/** The live picture with a box around every face. */

import { thresholdOf } from "../core/csv";
import type { Face } from "../core/detector";
import type { Sidecar } from "../core/sidecar";
import type { Frame } from "../sources/source";
import { byId, svgElement } from "./elements";

const LINE = 0.006; // width of lines, longer side of the picture = 1
const TEXT = 0.034;

/** Draws frames and faces. */
export class Stage {
  private readonly stage = byId("stage", HTMLElement);
  private readonly canvas = byId("picture", HTMLCanvasElement);
  private readonly overlay = byId("overlay", SVGSVGElement);

  constructor(private readonly sidecar: Sidecar) {}

  /** Show a frame with its faces; `selected` is the id of the one whose bars are shown. */
  show(frame: Frame, faces: readonly Face[], selected: number | undefined, mirrored: boolean): void {
    const { width, height } = frame.pixels;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      this.overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.stage.style.aspectRatio = `${width} / ${height}`;
    }
    this.canvas.getContext("2d")?.drawImage(frame.picture, 0, 0);
    this.canvas.classList.toggle("mirrored", mirrored);
    this.stage.classList.add("live");
    const unit = Math.max(width, height);
    this.overlay.replaceChildren(
      ...faces.flatMap((face) => this.outline(face, unit, mirrored ? width : undefined, face.id === selected)),
    );
  }

  /** Box, eyes and present action units of a face; `mirrorWidth` is the picture's width if it is mirrored. */
  private outline(face: Face, unit: number, mirrorWidth: number | undefined, selected: boolean): SVGElement[] {
    const turn = (x: number) => (mirrorWidth === undefined ? x : mirrorWidth - x);
    const [x, y, width, height] = face.box;
    const left = mirrorWidth === undefined ? x : turn(x + width);
    const line = LINE * unit;
    const kind = `${selected ? "selected" : "other"}${face.success ? "" : " doubtful"}`;
    const box = svgElement("rect", { class: `box ${kind}`, x: left, y, width, height, rx: 3 * line, "stroke-width": line });
    const eyes = [face.rightEye, face.leftEye].map((eye) =>
      svgElement("circle", { class: `eye ${kind}`, cx: turn(eye[0]), cy: eye[1], r: line }),
    );
    const size = TEXT * unit;
    const below = svgElement("text", { class: `caption ${kind}`, x: left + width / 2, y: y - size * 0.5, "font-size": size });
    below.textContent = this.caption(face);
    return [box, ...eyes, below];
  }

  private caption(face: Face): string {
    if (!face.success) return "too small or cut off";
    const present = [...face.probabilities].filter(([label, value]) => value >= thresholdOf(this.sidecar, label));
    return present.map(([label]) => label.replace("AU", "")).join(" + ") || "neutral";
  }
}
