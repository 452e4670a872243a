/** Faces of every size and turn in an image: BlazeFace in ever smaller squares, then close up; the twin of pipeline/faces/search.py. */

import { type Detection, type FaceDetector, around, wholes } from "./blazeface";
import type { Point } from "./crop";
import { distinct, tilt } from "./geometry";
import type { Pixels } from "./pixels";
import type { Square } from "./sampling";
import { shrink } from "./shrink";

const LEAST_WIDTH = 1 / 8; // of a face that BlazeFace finds, side of the square = 1
const SQUARE_PIXELS = 256; // a square with a larger side is shrunk to at most this before BlazeFace looks into it
const SURE = 0.8; // a face seen with less is looked at upside down too
const CLOSE_LOOKS = 2;

/** All faces at least `smallest` pixels wide in an image, the largest first; `least`: probability of a face seen close up. */
export async function findFaces(detector: FaceDetector, image: Pixels, smallest: number, least: number): Promise<Detection[]> {
  const coarse: Detection[] = [];
  for (const whole of wholes(image.height, image.width)) {
    if (!coarse.length) coarse.push(...(await look(detector, image, whole)));
  }
  for (const square of squares(image.height, image.width, smallest)) coarse.push(...(await look(detector, image, square)));
  const settled: Detection[] = [];
  for (const face of distinct(coarse)) {
    const seen = await settle(detector, image, face);
    if (seen && seen.score >= least) settled.push(seen);
  }
  return distinct(settled).sort((one, other) => other.box[2] - one.box[2]);
}

/** Squares of half, a quarter, ... of the longer side, overlapping by half, down to what shows a face `smallest` wide. */
export function squares(height: number, width: number, smallest: number): Square[] {
  const found: Square[] = [];
  let side = Math.max(height, width);
  while (side > smallest / LEAST_WIDTH) {
    side /= 2;
    for (const y of centres(height, side)) {
      for (const x of centres(width, side)) found.push({ x, y, side, angle: 0 });
    }
  }
  return found;
}

/** As the detector's look, but a large square is shrunk first, by an integer: as good for BlazeFace, and much faster. */
export async function look(detector: FaceDetector, image: Pixels, square: Square): Promise<Detection[]> {
  if (square.side < 1) return [];
  const factor = Math.ceil(square.side / SQUARE_PIXELS);
  if (factor === 1) return detector.look(image, square);
  const reach = (square.side / 2) * (Math.abs(Math.cos(square.angle)) + Math.abs(Math.sin(square.angle))) + factor;
  const [left, top] = [square.x - reach, square.y - reach].map((start) => Math.max(0, Math.floor(start)));
  const width = Math.floor((Math.min(image.width, Math.ceil(square.x + reach)) - left) / factor);
  const height = Math.floor((Math.min(image.height, Math.ceil(square.y + reach)) - top) / factor);
  if (width < 1 || height < 1) return [];
  const small = shrink(image, left, top, width, height, factor);
  const inside = { x: (square.x - left) / factor, y: (square.y - top) / factor, side: square.side / factor, angle: square.angle };
  return (await detector.look(small, inside)).map((face) => enlarged(face, factor, left, top));
}

/**
 * The face as it is seen close up in a square turned with it; undefined if nothing is seen there.
 * BlazeFace takes a face that stands on its head for an upright one, with little certainty: the better of both counts.
 */
async function settle(detector: FaceDetector, image: Pixels, face: Detection): Promise<Detection | undefined> {
  for (let i = 0; i < CLOSE_LOOKS; i++) {
    const angles = face.score >= SURE ? [tilt(face)] : [tilt(face), tilt(face) + Math.PI];
    const seen: Detection[] = [];
    for (const angle of angles) seen.push(...(await look(detector, image, around(face, angle))).slice(0, 1));
    if (!seen.length) return undefined;
    face = seen.reduce((best, found) => (found.score > best.score ? found : best));
  }
  return face;
}

/** Centres of intervals of `side` that cover [0, length], at most half of it apart. */
function centres(length: number, side: number): number[] {
  if (side >= length) return [length / 2];
  const steps = Math.ceil((2 * (length - side)) / side);
  return Array.from({ length: steps + 1 }, (_, step) => side / 2 + ((length - side) * step) / steps);
}

/** The face of an enlarged image, moved. */
function enlarged(face: Detection, scale: number, left: number, top: number): Detection {
  const [x, y, width, height] = face.box.map((value) => value * scale);
  const moved = (eye: Point): Point => [eye[0] * scale + left, eye[1] * scale + top];
  return { box: [x + left, y + top, width, height], rightEye: moved(face.rightEye), leftEye: moved(face.leftEye), score: face.score };
}
