import { expect, test } from "vitest";
import { columnName, csvHeader, csvRows } from "../src/core/csv";
import type { Face } from "../src/core/detector";
import { parseSidecar } from "../src/core/sidecar";
import { changedSidecar } from "./sidecar";

const SIDECAR = parseSidecar(
  changedSidecar((values) => {
    values.labels = ["AU1", "AU4", "AU12"];
    values.thresholds = { AU1: 0.5, AU4: null, AU12: 0.25 };
  }),
);
const FACE: Face = {
  id: 3,
  box: [1.26, 2, 30.06, 40],
  confidence: 0.98765,
  success: true,
  rightEye: [0, 0],
  leftEye: [1, 0],
  probabilities: new Map([["AU1", 0.49999], ["AU12", 0.25]]),
};

test("columns are OpenFace's; units that were not learned have none", () => {
  expect(csvHeader(SIDECAR)).toBe("frame,face_id,timestamp,confidence,success,x,y,w,h,AU01_p,AU12_p,AU01_c,AU12_c");
  expect([columnName("AU1"), columnName("AU12"), columnName("smile")]).toEqual(["AU01", "AU12", "smile"]);
});

test("a row for every face; present from the threshold on", () => {
  expect(csvRows(SIDECAR, 7, 0.28, [FACE, { ...FACE, id: 4 }])).toEqual([
    "7,3,0.280,0.988,1,1.3,2.0,30.1,40.0,0.5000,0.2500,0,1",
    "7,4,0.280,0.988,1,1.3,2.0,30.1,40.0,0.5000,0.2500,0,1",
  ]);
});

test("a row for a frame without a face, and for a face that cannot be read", () => {
  expect(csvRows(SIDECAR, 0, null, [])).toEqual(["0,-1,,0,0,,,,,,,,"]);
  const cutOff = { ...FACE, success: false, probabilities: new Map() };
  expect(csvRows(SIDECAR, 0, null, [cutOff])).toEqual(["0,3,,0.988,0,1.3,2.0,30.1,40.0,,,,"]);
});
