/** The sidecar model.json of the network's files: what goes in, what comes out (pipeline/tflite/ship.py writes it). */

import type { CropRecipe } from "./crop";
import { UserError } from "./failure.ts"; // the build reads this file as it is

const SIDECAR_FORMAT = 1;
const LARGEST_SIDE = 2048;
const MODEL_FILE = /^model_(\w+)\.tflite$/;

/** A file that the sidecar vouches for. */
export interface FileFacts {
  readonly name: string;
  readonly kind: string; // float32, int8, int4
  readonly sha256: string;
  readonly bytes: number;
}

/** What model.json says of an action unit network; `thresholds` are null for units that were not learned. */
export interface Sidecar {
  readonly name: string;
  readonly labels: readonly string[];
  readonly thresholds: readonly (number | null)[];
  readonly crop: CropRecipe;
  readonly data: string;
  readonly dataLicense: string;
  readonly files: readonly FileFacts[];
}

/** Reads the text of model.json; throws UserError if it is damaged or not of an action unit network. */
export function parseSidecar(text: string): Sidecar {
  try {
    return checked(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof SyntaxError ? "no JSON" : (error as Error).message;
    throw new UserError(`model.json is damaged or not of an action unit network: ${reason}. Build the page from a whole folder of such a network.`);
  }
}

function checked(values: any): Sidecar {
  demand(values?.format === SIDECAR_FORMAT, `format ${values?.format}, this page reads ${SIDECAR_FORMAT}`);
  demand(values.task === "multilabel" && values.crop, `task ${values.task}, no faces`);
  const labels: string[] = values.labels;
  const distinct = Array.isArray(labels) && labels.length > 0 && new Set(labels).size === labels.length;
  demand(distinct && labels.every((label) => typeof label === "string" && label), "labels");
  demand(values.input?.type === "float32", `input of type ${values.input?.type}; browsers run files with float32 input: convert.io`);
  return {
    name: String(values.name),
    labels,
    thresholds: labels.map((label) => threshold(values.thresholds?.[label])),
    crop: cropRecipe(values.crop, values.input.height_width_channels),
    data: String(values.data),
    dataLicense: String(values.data_license),
    files: modelFiles(values.files),
  };
}

function threshold(value: unknown): number | null {
  demand(value === null || (typeof value === "number" && value >= 0 && value <= 1), `threshold ${value}`);
  return value as number | null;
}

function cropRecipe(crop: any, shape: unknown): CropRecipe {
  const { size, side, eye_line: eyeLine, grey } = crop;
  demand(Number.isInteger(size) && size >= 1 && size <= LARGEST_SIDE && typeof grey === "boolean", `crop of size ${size}`);
  demand(side >= 0.1 && side <= 100 && eyeLine >= -10 && eyeLine <= 10, `crop with side ${side}, eye_line ${eyeLine}`);
  const expected = [size, size, grey ? 1 : 3];
  demand(JSON.stringify(shape) === JSON.stringify(expected), `input ${shape} does not fit a crop of ${expected}`);
  return { size, side, eyeLine, grey };
}

function modelFiles(files: any): FileFacts[] {
  const found = Object.entries<any>(files ?? {}).flatMap(([name, facts]) => {
    const kind = MODEL_FILE.exec(name)?.[1];
    return kind ? [{ name, kind, sha256: String(facts?.sha256), bytes: Number(facts?.bytes) }] : [];
  });
  demand(found.length > 0, "no model_*.tflite among its files");
  return found;
}

function demand(condition: unknown, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}
