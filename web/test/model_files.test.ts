import { expect, test } from "vitest";
import { auName } from "../src/core/action_units";
import { hexSha256 } from "../src/core/download";
import { UserError } from "../src/core/failure";
import { parseModelCard } from "../src/core/model_card";
import { parseSidecar } from "../src/core/sidecar";
import { endsEarly } from "../src/sources/picture";
import { cardText, changedSidecar, sidecarText } from "./sidecar";

test("the shipped sidecar is read", () => {
  const sidecar = parseSidecar(sidecarText);
  expect(sidecar.labels).toHaveLength(12);
  expect(sidecar.thresholds.every((threshold) => threshold !== null && threshold > 0 && threshold < 1)).toBe(true);
  expect(sidecar.crop).toEqual({ size: 64, side: 3.2, eyeLine: 0.38, grey: false });
  expect(sidecar.files.map(({ kind }) => kind).sort()).toEqual(["float32", "int4", "int8"]);
  expect(sidecar.labels.every((label) => auName(label))).toBe(true);
});

test.each<[string, (values: any) => void]>([
  ["format 2", (values) => (values.format = 2)],
  ["task multiclass", (values) => (values.task = "multiclass")],
  ["input of type int8", (values) => (values.input.type = "int8")],
  ["does not fit a crop", (values) => (values.crop.size = 32)],
  ["crop of size 0", (values) => (values.crop.size = 0)],
  ["crop with side", (values) => (values.crop.side = null)],
  ["labels", (values) => (values.labels[1] = "AU1")],
  ["labels", (values) => (values.labels = "AU1")],
  ["threshold 2", (values) => (values.thresholds.AU1 = 2)],
  ["threshold undefined", (values) => delete values.thresholds.AU12],
  ["no model_", (values) => (values.files = {})],
])("a damaged sidecar is refused: %s", (problem, change) => {
  expect(() => parseSidecar(changedSidecar(change))).toThrow(UserError);
  expect(() => parseSidecar(changedSidecar(change))).toThrow(problem);
});

test.each(["", "{", "null", "[]", "17", sidecarText.slice(0, 500)])("text that is no sidecar is refused: %s", (text) => {
  expect(() => parseSidecar(text)).toThrow(UserError);
});

test("the shipped card gives its limits and scores", () => {
  const card = parseModelCard(cardText);
  expect(card.limits).toContain("RENDERED faces");
  expect(card.metric).toBe("mean F1");
  expect(card.images).toBeGreaterThan(1000);
  expect([...card.scores.keys()].sort()).toEqual(["float32", "int4", "int8"]);
  expect(Math.min(...card.scores.values())).toBeGreaterThan(50);
  expect(parseModelCard("")).toEqual({ limits: "", metric: "", images: undefined, scores: new Map() });
});

test("checksums are SHA-256 in hexadecimal", async () => {
  expect(await hexSha256(new TextEncoder().encode("abc"))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("a JPEG without its end is noticed, other files are not taken for one", () => {
  const jpeg = [0xff, 0xd8, 0xff, 0xda, 1, 2, 3, 0xff, 0xd9];
  expect(endsEarly(Uint8Array.from(jpeg))).toBe(false);
  expect(endsEarly(Uint8Array.from(jpeg.slice(0, 7)))).toBe(true);
  expect(endsEarly(Uint8Array.from([0xff, 0xd8, 0xff, 0xd9, 0xff, 0xda, 1]))).toBe(true);
  expect(endsEarly(Uint8Array.from([0x89, 0x50, 0x4e, 0x47]))).toBe(false);
  expect(endsEarly(new Uint8Array())).toBe(false);
});
