/** Pixels of pictures and video frames, at their own size: browsers scale in different ways, reading is the same in all. */

import { UserError } from "../core/failure";
import type { Frame } from "./source";

const MOST_PIXELS = 16_777_216; // phones have no larger canvas

/** Reads frames through one canvas. */
export class FrameReader {
  private readonly canvas = document.createElement("canvas");
  private readonly context = this.canvas.getContext("2d", { willReadFrequently: true, alpha: false, colorSpace: "srgb" });

  /** A part of a picture that starts at (x, y) as a frame; the frame's picture changes with the next one. */
  read(picture: CanvasImageSource, width: number, height: number, timestamp: number | null, x = 0, y = 0): Frame {
    if (!this.context) throw new UserError("This browser gives no canvas to read pictures with: close some tabs and load the page again.");
    if (width * height > MOST_PIXELS) {
      throw new UserError(`The picture has ${width} x ${height} pixels; browsers read ${MOST_PIXELS.toLocaleString("en")} at most. Make it smaller first.`);
    }
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    this.context.drawImage(picture, x, y, width, height, 0, 0, width, height);
    return { pixels: this.context.getImageData(0, 0, width, height), picture: this.canvas, timestamp };
  }
}
