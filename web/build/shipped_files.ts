/** Copies into the page what is kept elsewhere in the project: the model, the face detector, LiteRT.js's wasm. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";
import { POLICY } from "./security.ts";

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

/** The sidecar and the TFLite files that it names, compared with their checksums. */
function modelFiles(folder: string): Copy[] {
  const sidecar = join(folder, "model.json");
  if (!existsSync(sidecar)) {
    stop(`${folder}: no model.json. Give a folder that pipeline.run made, such as tflite_out/NAME`);
  }
  const files: Record<string, { sha256: string }> = JSON.parse(readFileSync(sidecar, "utf8")).files;
  const names = Object.keys(files).filter((name) => name.endsWith(".tflite"));
  for (const name of names) {
    const path = join(folder, name);
    if (!existsSync(path) || sha256(path) !== files[name].sha256) {
      stop(`${path}: missing, or not the file that model.json describes. Copy the whole folder again`);
    }
  }
  return ["model.json", "MODEL_CARD.md", ...names].map((name) => ({ source: join(folder, name), name: `model/${name}` }));
}

function otherFiles(faceModel: string, runtime: string): Copy[] {
  return [
    { source: faceModel, name: "model/blaze_face_short_range.tflite" },
    ...WASM.map((name) => ({ source: join(runtime, name), name: `litert/${name}` })),
  ];
}

/** The user's input is wrong: say what, without a stack of calls. */
function stop(problem: string): never {
  console.error(`error: ${problem}`);
  process.exit(2);
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
