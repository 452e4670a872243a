import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { UserError } from "../src/core/failure";
import { unpackInt4 } from "../src/core/unpack_int4";

const read = (kind: string) => new Uint8Array(readFileSync(new URL(`../../tflite_out/synthetic_faces/model_${kind}.tflite`, import.meta.url)));

test("a file without INT4 tensors stays as it is", () => {
  for (const kind of ["int8", "float32"]) {
    const content = read(kind);
    expect(unpackInt4(content, kind)).toBe(content);
  }
});

test("every packed byte becomes two codes, and unpacking twice changes nothing", () => {
  const packed = read("int4");
  const before = packed.slice();
  const unpacked = unpackInt4(packed, "int4");
  expect(packed).toEqual(before);
  expect(unpacked.length).toBeGreaterThan(1.4 * packed.length);
  expect(unpacked.length).toBeLessThan(2.2 * packed.length);
  const codes = new Int8Array(unpacked.buffer, packed.length, unpacked.length - packed.length);
  expect(unpackInt4(unpacked, "int4")).toBe(unpacked);
  const small = codes.filter((code) => Math.abs(code) <= 7).length;
  expect(small / codes.length).toBeGreaterThan(0.99); // the rest are the vectors' lengths
});

test("damaged files are refused or unpacked, never anything else", () => {
  const packed = read("int4");
  for (let size = 0; size < 2000; size += 37) {
    try {
      unpackInt4(packed.slice(0, size), "cut.tflite");
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
    }
  }
  expect(() => unpackInt4(new Uint8Array(), "empty.tflite")).not.toThrow(TypeError);
});
