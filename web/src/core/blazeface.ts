/** BlazeFace, short range: faces with their eyes in an image; the twin of pipeline/faces/blazeface.py (Bazarevsky et al. 2019). */

import type { Point } from "./crop";
import type { Network } from "./network";
import type { Pixels } from "./pixels";
import { type Square, sample } from "./sampling";

/** x, y, width and height in pixels. */
export type Box = readonly [number, number, number, number];

/** A face in pixels of the image; the eyes are the subject's: the right eye is at the image's left. */
export interface Detection {
  readonly box: Box;
  readonly rightEye: Point;
  readonly leftEye: Point;
  readonly score: number;
}

/** A face in input pixels: left, top, right, bottom, then x and y of right eye, left eye, nose, mouth, ears. */
export interface Candidate {
  readonly points: Float64Array;
  readonly score: number;
}

const SIDE = 128; // of the network's input, in pixels
const LAYERS = [[16, 2], [8, 6]]; // grids of anchors: cells a side, anchors a cell
const MARGINS = [1.0, 1.6]; // side of the square put into the network, image = 1
const CLOSER = 2.0; // side of the second look, width of the face's box = 1
const COLUMNS = 16;
const OVERLAP = 0.3; // least intersection over union of two boxes of one face
const LARGEST_LOGIT = 100;
const INPUT_VALUES = Float32Array.from({ length: 256 }, (_, pixel) => Math.fround(pixel / 127.5) - 1);

/** Finds faces; `threshold` is the least probability of a face. */
export class FaceDetector {
  private readonly input = new Float32Array(SIDE * SIDE * 3);

  constructor(
    private readonly network: Network,
    private readonly threshold: number,
  ) {}

  /** The faces in a square of the image, the most probable first; black is around the image. */
  async look(image: Pixels, square: Square): Promise<Detection[]> {
    const pixels = sample(image, square, SIDE, "black");
    for (let i = 0; i < pixels.length; i++) this.input[i] = INPUT_VALUES[pixels[i]];
    const outputs = await this.network.run(this.input);
    const [points, logits] = outputs.sort((one, other) => other.length - one.length);
    return merge(candidates(points, logits, this.threshold), OVERLAP).map((face) => inImage(face, square));
  }
}

/** Squares that hold the whole image: just so, and with room around it. */
export function wholes(height: number, width: number): Square[] {
  return MARGINS.map((margin) => ({ x: width / 2, y: height / 2, side: margin * Math.max(height, width), angle: 0 }));
}

/** The square twice as wide as the face's box, in which BlazeFace sees it best. */
export function around(face: Detection, angle = 0): Square {
  const [x, y, width, height] = face.box;
  return { x: x + width / 2, y: y + height / 2, side: CLOSER * Math.max(width, height), angle };
}

/** 1 / (1 + exp(-logit)). */
export function probability(logit: number): number {
  return 1 / (1 + Math.exp(-Math.min(Math.max(logit, -LARGEST_LOGIT), LARGEST_LOGIT)));
}

/** The centres of the 896 anchors, x and y in input pixels. */
export function anchors(): Point[] {
  const centres: Point[] = [];
  for (const [cells, repeats] of LAYERS) {
    for (let cell = 0; cell < cells * cells; cell++) {
      const place: Point = [((cell % cells) + 0.5) * (SIDE / cells), (Math.floor(cell / cells) + 0.5) * (SIDE / cells)];
      for (let i = 0; i < repeats; i++) centres.push(place);
    }
  }
  return centres;
}

const ANCHORS = anchors();

/** The faces of at least a probability in the network's outputs (896, 16) and (896, 1), in the order of the anchors. */
export function candidates(points: Float32Array, logits: Float32Array, threshold: number): Candidate[] {
  const found: Candidate[] = [];
  logits.forEach((logit, anchor) => {
    const score = probability(logit);
    if (score >= threshold) found.push({ points: decode(points, anchor), score });
  });
  return found;
}

/** Box and key points in input pixels of one anchor, from the network's output (896, 16). */
export function decode(points: Float32Array, anchor: number): Float64Array {
  const raw = points.subarray(anchor * COLUMNS, (anchor + 1) * COLUMNS);
  const out = Float64Array.from(raw, (value, column) => value + ANCHORS[anchor][column % 2]);
  const [centreX, centreY, width, height] = [out[0], out[1], raw[2], raw[3]];
  out.set([centreX - width / 2, centreY - height / 2, centreX + width / 2, centreY + height / 2]);
  return out;
}

/** Faces, best first: each the mean, weighted by score, of those that overlap the best (Bazarevsky et al. 2019, sec. 3.3). */
export function merge(faces: Candidate[], overlap: number): Candidate[] {
  let left = [...faces].sort((one, other) => other.score - one.score);
  const merged: Candidate[] = [];
  while (left.length) {
    const best = left[0];
    const isSame = (face: Candidate) => face === best || intersectionOverUnion(best.points, face.points) >= overlap;
    merged.push({ points: weightedMean(left.filter(isSame)), score: best.score });
    left = left.filter((face) => !isSame(face));
  }
  return merged;
}

function weightedMean(faces: Candidate[]): Float64Array {
  const total = faces.reduce((sum, face) => sum + face.score, 0);
  return faces[0].points.map((_, column) => faces.reduce((sum, face) => sum + face.points[column] * face.score, 0) / total);
}

function intersectionOverUnion(one: Float64Array, other: Float64Array): number {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  const common = Math.max(width, 0) * Math.max(height, 0);
  return common / Math.max(area(one) + area(other) - common, 1e-9);
}

function area(face: Float64Array): number {
  return (face[2] - face[0]) * (face[3] - face[1]);
}

/** The face in pixels of an image in which the network's input shows a square; a box is upright in the image. */
function inImage({ points, score }: Candidate, square: Square): Detection {
  const place = (column: number): Point => [points[column] / SIDE - 0.5, points[column + 1] / SIDE - 0.5];
  const [start, end] = [place(0), place(2)];
  const middle = toImage([(start[0] + end[0]) / 2, (start[1] + end[1]) / 2], square);
  const [width, height] = [(end[0] - start[0]) * square.side, (end[1] - start[1]) * square.side];
  return {
    box: [middle[0] - width / 2, middle[1] - height / 2, width, height],
    rightEye: toImage(place(4), square),
    leftEye: toImage(place(6), square),
    score,
  };
}

/** The position in the image of one in the square: side 1, centre 0. */
function toImage([along, down]: Point, { x, y, side, angle }: Square): Point {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  return [x + (cosine * along - sine * down) * side, y + (sine * along + cosine * down) * side];
}
