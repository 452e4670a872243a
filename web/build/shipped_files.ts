/** Copies into the page what is kept elsewhere in the project: the model, the face detector, LiteRT.js's wasm. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";
import { type Sidecar, parseSidecar } from "../src/core/sidecar.ts";
import { POLICY } from "./security.ts";
import { stop } from "./stop.ts";

const WASM = ["litert_wasm_internal", "litert_wasm_compat_internal"].flatMap((name) => [`${name}.js`, `${name}.wasm`]);

/** A file to be copied: where it is, and its name in the page. */
interface Copy {
  readonly source: string;
  readonly name: string;
}

/** Vite's plugin; `model` is a folder such as tflite_out/synthetic_faces, `faceModel` the file of BlazeFace. */
export function shippedFiles(model: string, faceModel: string, runtime: string): Plugin {
  let copies: Copy[] = [];
  return {
    name: "nibble:shipped-files",
    apply: "build",
    buildStart() {
      copies = [...modelFiles(model), ...otherFiles(faceModel, runtime)];
    },
    config: () => ({ define: { FACE_MODEL_SHA256: JSON.stringify(sha256(faceModel)) } }),
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
    ],
    generateBundle() {
      for (const { source, name } of copies) {
        this.emitFile({ type: "asset", fileName: name, source: readFileSync(source) });
      }
    },
  };
}

/** The sidecar, the card and the TFLite files, these compared with their checksums. */
function modelFiles(folder: string): Copy[] {
  if (!existsSync(join(folder, "model.json"))) {
    stop(`${folder}: no model.json. Give a folder that pipeline.run made, such as tflite_out/NAME`);
  }
  contentOf(join(folder, "MODEL_CARD.md"));
  const { files } = sidecarIn(folder);
  for (const { name, sha256: expected } of files) {
    const path = join(folder, name);
    if (sha256(path) !== expected) stop(`${path}: not the file that model.json describes. Copy the whole folder again`);
  }
  const names = ["model.json", "MODEL_CARD.md", ...files.map(({ name }) => name)];
  return names.map((name) => ({ source: join(folder, name), name: `model/${name}` }));
}

/** What the page will read of model.json, read now. */
function sidecarIn(folder: string): Sidecar {
  try {
    return parseSidecar(contentOf(join(folder, "model.json")).toString());
  } catch (error) {
    stop(`${folder}: ${(error as Error).message}`);
  }
}

function otherFiles(faceModel: string, runtime: string): Copy[] {
  return [
    { source: faceModel, name: "model/blaze_face_short_range.tflite" },
    ...WASM.map((name) => ({ source: join(runtime, name), name: `litert/${name}` })),
  ];
}

function sha256(path: string): string {
  return createHash("sha256").update(contentOf(path)).digest("hex");
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    stop(`${path}: missing, or it cannot be read (${(error as NodeJS.ErrnoException).code}). Copy the whole folder again`);
  }
}
