/** A sidecar as pipeline.run writes it. */

import { readFileSync } from "node:fs";

const SHIPPED = new URL("../../tflite_out/synthetic_faces/", import.meta.url);

export const sidecarText = readFileSync(new URL("model.json", SHIPPED), "utf8");
export const cardText = readFileSync(new URL("MODEL_CARD.md", SHIPPED), "utf8");

/** The text of the shipped sidecar after a change. */
export function changedSidecar(change: (values: any) => void): string {
  const values = JSON.parse(sidecarText);
  change(values);
  return JSON.stringify(values);
}
