import { defineConfig } from "@playwright/test";

const port = process.env["NIBBLE_PORT"] ?? "8123";
const folder = process.env["NIBBLE_DIST"] ?? "dist";

/** tests/web/test_page.py runs these tests: it builds the page, renders the faces and compares the numbers with Python's. */
export default defineConfig({
  testDir: process.env["NIBBLE_SPECS"] ?? "e2e",
  outputDir: process.env["NIBBLE_RESULTS"] ? `${process.env["NIBBLE_RESULTS"]}/playwright` : "test-results",
  workers: 1,
  timeout: 90_000,
  expect: { timeout: 30_000 },
  reporter: "line",
  forbidOnly: true,
  use: {
    baseURL: `http://localhost:${port}/`,
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium" },
  },
  webServer: {
    command: `npx vite preview --outDir ${JSON.stringify(folder)} --port ${port} --strictPort`,
    port: Number(port),
    reuseExistingServer: false,
  },
});
