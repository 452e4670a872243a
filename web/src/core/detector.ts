/** Action units of every face in an image or in the frames of a video; the twin of pipeline/detect/detector.py. */

import type { AuNetwork } from "./au_network";
import type { Box, Detection, FaceDetector } from "./blazeface";
import { type Point, cut, squareFromEyes } from "./crop";
import type { Pixels } from "./pixels";
import type { Square } from "./sampling";
import { findFaces } from "./search";
import type { Sidecar } from "./sidecar";
import { TemporalMedian } from "./smoothing";
import { FaceTracker } from "./tracking";

const LEAST_EYE_DISTANCE = 8.0; // in pixels: below, a crop shows blur
const LEAST_VISIBLE = 0.5; // of the crop: below, it shows the image's border
const LEAST = 0.75; // probability of a new face
const LEAST_FOLLOWED = 0.65; // and of one that is followed
const SMALLEST_IN_IMAGE = 1 / 32; // width of a face, longer side of the image = 1; at most SMALLEST pixels
const SMALLEST = 64;
const SMALLEST_IN_VIDEO = 1 / 16;
const GRID = 16;

/** A face in pixels of the image; `probabilities` are by label, empty without `success`: too small, or mostly outside. */
export interface Face {
  readonly id: number;
  readonly box: Box;
  readonly confidence: number;
  readonly success: boolean;
  readonly rightEye: Point;
  readonly leftEye: Point;
  readonly probabilities: ReadonlyMap<string, number>;
}

/**
 * Finds faces and their action units. `network` may be changed for another file of the same model at any time; videos are
 * searched for new faces every `searchEvery` frames.
 */
export class Detector {
  private tracker: FaceTracker | undefined;
  private smoothing = 1;
  private median = new TemporalMedian(1);

  constructor(
    private readonly faces: FaceDetector,
    readonly sidecar: Sidecar,
    public network: AuNetwork,
    private readonly searchEvery = 10,
  ) {}

  /** Forget the faces seen: the next frame is the first of another video. */
  reset(): void {
    this.tracker = undefined;
    this.median = new TemporalMedian(this.smoothing);
  }

  /** Smooth over an odd number of frames from now on; 1: not at all. */
  smoothOver(frames: number): void {
    this.median = new TemporalMedian(frames);
    this.smoothing = frames;
  }

  /** The faces in the next frame of a video, by id. */
  async frame(image: Pixels): Promise<Face[]> {
    this.tracker ??= this.newTracker(image);
    const faces: Face[] = [];
    for (const track of await this.tracker.update(image)) {
      faces.push(this.smoothed(await this.measure(image, track.number, track.face)));
    }
    this.median.keep(this.tracker.numbers());
    return faces;
  }

  /** The faces in a single image, numbered from the largest; nothing is remembered. */
  async image(image: Pixels): Promise<Face[]> {
    const smallest = Math.min(SMALLEST, SMALLEST_IN_IMAGE * Math.max(image.width, image.height));
    const found = await findFaces(this.faces, image, smallest, LEAST);
    const faces: Face[] = [];
    for (const [number, face] of found.entries()) faces.push(await this.measure(image, number, face));
    return faces;
  }

  private newTracker(image: Pixels): FaceTracker {
    const smallest = SMALLEST_IN_VIDEO * Math.max(image.width, image.height);
    return new FaceTracker(this.faces, { searchEvery: this.searchEvery, smallest, least: LEAST, leastFollowed: LEAST_FOLLOWED });
  }

  private smoothed(face: Face): Face {
    if (!face.success) return face;
    const labels = [...face.probabilities.keys()];
    const values = this.median.smooth(face.id, [...face.probabilities.values()]);
    return { ...face, probabilities: new Map(labels.map((label, unit) => [label, values[unit]])) };
  }

  private async measure(image: Pixels, id: number, { box, score, rightEye, leftEye }: Detection): Promise<Face> {
    const { crop, labels, thresholds } = this.sidecar;
    const square = squareFromEyes(crop, rightEye, leftEye);
    const success = square.side >= crop.side * LEAST_EYE_DISTANCE && visibleShare(square, image) >= LEAST_VISIBLE;
    const values = success ? await this.network.probabilities(cut(crop, image, square)) : [];
    const learned = labels.map((label, unit) => [label, values[unit]] as const).filter((_, unit) => thresholds[unit] !== null);
    return { id, box, confidence: score, success, rightEye, leftEye, probabilities: new Map(success ? learned : []) };
  }
}

/** The share of a square that lies inside an image, by a grid of 16 x 16 points. */
export function visibleShare(square: Square, image: Pixels): number {
  const [cosine, sine] = [Math.cos(square.angle), Math.sin(square.angle)];
  let inside = 0;
  for (let point = 0; point < GRID * GRID; point++) {
    const along = ((point % GRID) + 0.5) / GRID - 0.5;
    const down = (Math.floor(point / GRID) + 0.5) / GRID - 0.5;
    const x = square.x + (cosine * along - sine * down) * square.side;
    const y = square.y + (sine * along + cosine * down) * square.side;
    if (x >= 0 && x < image.width && y >= 0 && y < image.height) inside++;
  }
  return inside / (GRID * GRID);
}
