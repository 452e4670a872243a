import { expect, test } from "@playwright/test";
import { choose, downloadCsv, fixture, openPage } from "./page";

test.beforeEach(async ({ page }) => openPage(page));

test("a video plays to its end; every row has its time", async ({ page }) => {
  await choose(page, "open-video", fixture("faces.webm"));
  await expect(page.locator("#status")).toHaveText(/rows · over/);
  const { rows } = await downloadCsv(page);
  const times = rows.map((row) => Number(row["timestamp"]));
  expect(times.length).toBeGreaterThan(1);
  expect([...times].sort((one, other) => one - other)).toEqual(times);
  expect(times.at(-1)).toBeLessThanOrEqual(2);
  expect(rows.filter((row) => row["success"] === "1").length).toBeGreaterThan(rows.length / 2);
  expect(rows.map((row) => row["frame"])).toEqual(rows.map((_, before) => String(before + 1)));
});

test("a damaged video says so", async ({ page }) => {
  await choose(page, "open-video", { name: "broken.mp4", mimeType: "video/mp4", buffer: Buffer.alloc(5000, 7) });
  await expect(page.getByRole("alert")).toContainText("broken.mp4 does not play in this browser");
});

test("pause stops the rows, going on goes on", async ({ page }) => {
  const rows = async () => Number(/([\d,]+) rows/.exec(await page.locator("#status").innerText())?.[1].replace(",", ""));
  await page.getByRole("button", { name: "Pause" }).click();
  await page.waitForTimeout(500);
  const paused = await rows();
  await page.waitForTimeout(500);
  expect(await rows()).toBe(paused);
  await page.getByRole("button", { name: "Go on" }).click();
  await expect.poll(rows).toBeGreaterThan(paused);
});
