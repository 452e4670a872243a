/** Rows in OpenFace's manner: the columns, numbers and marks that python -m pipeline.detect writes. */

import { auNumber } from "./action_units";
import type { Face } from "./detector";
import type { Sidecar } from "./sidecar";

const COLUMNS = ["frame", "face_id", "timestamp", "confidence", "success", "x", "y", "w", "h"];
const NO_FACE = -1;

/** The labels that have a threshold: the others were not learned. */
export function learnedLabels(sidecar: Sidecar): string[] {
  return sidecar.labels.filter((_, unit) => sidecar.thresholds[unit] !== null);
}

/** The threshold of a learned label. */
export function thresholdOf(sidecar: Sidecar, label: string): number {
  return sidecar.thresholds[sidecar.labels.indexOf(label)] as number;
}

/** The first line. */
export function csvHeader(sidecar: Sidecar): string {
  const names = learnedLabels(sidecar).map(columnName);
  return [...COLUMNS, ...names.map((name) => `${name}_p`), ...names.map((name) => `${name}_c`)].join(",");
}

/** A line for every face, or one for a frame without any; `timestamp` in seconds, null for single images. */
export function csvRows(sidecar: Sidecar, frame: number, timestamp: number | null, faces: readonly Face[]): string[] {
  const time = timestamp === null ? "" : timestamp.toFixed(3);
  const labels = learnedLabels(sidecar);
  const empty = labels.flatMap(() => ["", ""]);
  if (!faces.length) return [[frame, NO_FACE, time, 0, 0, "", "", "", "", ...empty].join(",")];
  return faces.map((face) => {
    const place = face.box.map((value) => value.toFixed(1));
    const units = face.success ? unitCells(sidecar, labels, face) : empty;
    return [frame, face.id, time, face.confidence.toFixed(3), Number(face.success), ...place, ...units].join(",");
  });
}

/** AU1 as OpenFace writes it: AU01. */
export function columnName(label: string): string {
  const number = auNumber(label);
  return number === undefined ? label : `AU${String(number).padStart(2, "0")}`;
}

function unitCells(sidecar: Sidecar, labels: string[], face: Face): string[] {
  const values = labels.map((label) => face.probabilities.get(label) as number);
  const present = labels.map((label, unit) => Number(values[unit] >= thresholdOf(sidecar, label)));
  return [...values.map((value) => value.toFixed(4)), ...present.map(String)];
}
