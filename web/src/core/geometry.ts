/** Boxes and turns of detected faces. */

import type { Box, Detection } from "./blazeface";
import type { Point } from "./crop";

const SAME_FACE = 0.6; // common area of two boxes of one face, smaller box = 1

/** How far the face is turned clockwise, in radians, by its eyes. */
export function tilt(face: Detection): number {
  return Math.atan2(face.leftEye[1] - face.rightEye[1], face.leftEye[0] - face.rightEye[0]);
}

/** The common area of two boxes, smaller box = 1. */
export function commonShare(one: Box, other: Box): number {
  const width = Math.min(one[0] + one[2], other[0] + other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[1] + one[3], other[1] + other[3]) - Math.max(one[1], other[1]);
  const smaller = Math.min(one[2] * one[3], other[2] * other[3]);
  return (Math.max(width, 0) * Math.max(height, 0)) / Math.max(smaller, 1e-9);
}

/** The faces, most probable first, without those that mostly lie in a more probable one. */
export function distinct(faces: Detection[]): Detection[] {
  const kept: Detection[] = [];
  for (const face of [...faces].sort((one, other) => other.score - one.score)) {
    if (!kept.some((other) => isSame(face, other))) kept.push(face);
  }
  return kept;
}

/** Whether two detections are of one face. */
export function isSame(one: Detection, other: Detection): boolean {
  return commonShare(one.box, other.box) >= SAME_FACE;
}

/** Of a face's box. */
export function centre({ box: [x, y, width, height] }: Detection): Point {
  return [x + width / 2, y + height / 2];
}
