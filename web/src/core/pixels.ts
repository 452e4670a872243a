/** An image as canvas gives it: rows of red, green, blue, alpha, 8 bits each. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}
