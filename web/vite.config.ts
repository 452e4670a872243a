import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { port, previewProblems } from "./build/preview.ts";
import { HEADERS } from "./build/security.ts";
import { shippedFiles } from "./build/shipped_files.ts";

const project = resolve(import.meta.dirname, "..");
const model = resolve(project, process.env["NIBBLE_MODEL"] || "tflite_out/synthetic_faces");

export default defineConfig({
  base: "./",
  plugins: [
    previewProblems(),
    shippedFiles(
      model,
      resolve(project, "pipeline/faces/blaze_face_short_range.tflite"),
      resolve(import.meta.dirname, "node_modules/@litertjs/core/wasm"),
    ),
  ],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the security policy allows no data: addresses
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      input: { index: resolve(import.meta.dirname, "index.html"), engine: resolve(import.meta.dirname, "src/engine.ts") },
      output: { entryFileNames: (chunk) => (chunk.name === "engine" ? "engine.js" : "assets/[name]-[hash].js"), chunkFileNames: "[name]-[hash].js" },
      preserveEntrySignatures: "exports-only",
    },
  },
  preview: { headers: HEADERS, port: port(), strictPort: true },
  test: { include: ["test/**/*.test.ts"] },
});
