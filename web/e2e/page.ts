/** The page as its tests see it, and the files that tests/web/test_page.py prepares for them. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Page, expect } from "@playwright/test";

const FIXTURES = process.env["NIBBLE_FIXTURES"] ?? "";
const RESULTS = process.env["NIBBLE_RESULTS"] ?? "";

export const fixture = (name: string) => join(FIXTURES, name);
export const readFixture = (name: string) => readFileSync(fixture(name));
export const keep = (name: string, content: string | Uint8Array) => writeFileSync(join(RESULTS, name), content);

/** Opens the page and waits until it shows the sample's faces. */
export async function openPage(page: Page): Promise<void> {
  await page.goto("./");
  await expect(page.locator("#status")).toHaveText(/rendered faces · 1 face/);
}

/** The rows that the page would download, without the header's. */
export async function downloadCsv(page: Page): Promise<{ name: string; text: string; rows: Record<string, string>[] }> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
  const text = readFileSync(await download.path(), "utf8");
  const [header, ...lines] = text.trimEnd().split("\n").map((line) => line.split(","));
  const rows = lines.map((cells) => Object.fromEntries(cells.map((cell, column) => [header[column], cell])));
  return { name: download.suggestedFilename(), text, rows };
}

/** Chooses a file for Picture or Video. */
export async function choose(page: Page, id: "open-picture" | "open-video", file: string | { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await page.locator(`#${id} input`).setInputFiles(file);
}
