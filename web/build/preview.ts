/** Serving the built page on this machine. */

import { existsSync } from "node:fs";
import type { Plugin } from "vite";
import { stop } from "./stop.ts";

const [DEFAULT_PORT, LARGEST_PORT] = [8000, 65535];
const PROBLEMS: Record<string, string> = {
  EADDRINUSE: "is in use by another program",
  EACCES: "is for the system's own programs",
};

/** The port that the environment variable NIBBLE_PORT names; 8000 without one. */
export function port(): number {
  const text = process.env["NIBBLE_PORT"] || String(DEFAULT_PORT);
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > LARGEST_PORT) stop(`NIBBLE_PORT=${text} is no port. Give a number from 1 to ${LARGEST_PORT}`);
  return number;
}

/** Vite's plugin: what goes wrong is said in a line. */
export function previewProblems(): Plugin {
  return {
    name: "nibble:preview-problems",
    configurePreviewServer({ config, httpServer }) {
      const folder = config.build.outDir;
      if (!existsSync(folder)) stop(`${folder}: no page has been built. Run npm run build first`);
      httpServer.prependListener("error", (error: NodeJS.ErrnoException) => {
        const problem = PROBLEMS[error.code ?? ""] ?? `cannot be listened on (${error.code})`;
        stop(`port ${config.preview.port} ${problem}. Choose another one: make web PORT=8001, or NIBBLE_PORT=8001 npm run serve`);
      });
    },
  };
}
