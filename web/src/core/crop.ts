/** How a face is cut out of an image: the recipe of the model's sidecar (docs/bp4d.md, pipeline/faces/crop.py). */

import type { Pixels } from "./pixels";
import { type Square, sample } from "./sampling";

/** x and y in pixels. */
export type Point = readonly [number, number];

/** Crops of size x size pixels, `side` eye distances wide, the eyes level at `eyeLine` of the height from the top. */
export interface CropRecipe {
  readonly size: number;
  readonly side: number;
  readonly eyeLine: number;
  readonly grey: boolean;
}

/** The square around a face by its eyes' centres; the subject's right eye is at the image's left. */
export function squareFromEyes(recipe: CropRecipe, right: Point, left: Point): Square {
  const [dx, dy] = [left[0] - right[0], left[1] - right[1]];
  const side = recipe.side * Math.hypot(dx, dy);
  const angle = Math.atan2(dy, dx);
  const below = (0.5 - recipe.eyeLine) * side; // from the eyes to the centre, along the face
  return {
    x: (right[0] + left[0]) / 2 - Math.sin(angle) * below,
    y: (right[1] + left[1]) / 2 + Math.cos(angle) * below,
    side,
    angle,
  };
}

/** The crop (size, size, C) of an image; C is 1 if the recipe is grey, else 3. */
export function cut(recipe: CropRecipe, image: Pixels, square: Square): Uint8Array {
  const crop = sample(image, square, recipe.size);
  return recipe.grey ? grey(crop) : crop;
}

/** 0.299 R + 0.587 G + 0.114 B, rounded, in OpenCV's 15-bit fixed point. */
export function grey(rgb: Uint8Array): Uint8Array {
  const out = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < out.length; i++) {
    out[i] = (9798 * rgb[3 * i] + 19235 * rgb[3 * i + 1] + 3735 * rgb[3 * i + 2] + (1 << 14)) >> 15;
  }
  return out;
}
