import { expect, test } from "@playwright/test";
import { choose, downloadCsv, fixture, openPage, readFixture } from "./page";

test.beforeEach(async ({ page }) => openPage(page));

test("a video plays to its end; every row has its time", async ({ page }) => {
  await choose(page, "open-video", fixture("faces.webm"));
  await expect(page.locator("#status")).toHaveText(/rows · over/);
  await expect(page.getByRole("alert")).toBeHidden();
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

test("a video that is cut off keeps its rows and says so", async ({ page }) => {
  const whole = readFixture("faces.webm");
  await choose(page, "open-video", { name: "half.webm", mimeType: "video/webm", buffer: whole.subarray(0, whole.length / 2) });
  await expect(page.getByRole("alert")).toContainText(/half\.webm ends after \d\.\d of its 1\.6 seconds: damaged or cut off/);
  await expect(page.locator("#status")).toHaveText(/half\.webm .* rows · over/);
  expect((await downloadCsv(page)).rows.length).toBeGreaterThan(0);
});

test("a sound file has no picture, and the sample goes on", async ({ page }) => {
  await choose(page, "open-video", fixture("silence.wav"));
  await expect(page.getByRole("alert")).toContainText("silence.wav has no picture");
  await expect(page.locator("#status")).toHaveText(/rendered faces/);
});

test("a video of one frame is no silent end", async ({ page }) => {
  await choose(page, "open-video", fixture("one.webm"));
  await expect(page.getByRole("alert").or(page.locator("#status").filter({ hasText: "one.webm · 1 face" }))).toBeVisible();
});

test("a video plays once, whatever is pressed then", async ({ page }) => {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.evaluate(() => {
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
      document.body.dataset["plays"] = String(Number(document.body.dataset["plays"] ?? 0) + 1);
      return play.call(this);
    };
  });
  await choose(page, "open-video", fixture("faces.webm"));
  await expect(page.locator("#status")).toHaveText(/faces\.webm · 1 face/);
  await page.locator("#pause").evaluate((button: HTMLButtonElement) => [1, 2, 3, 4].forEach(() => button.click()));
  await expect(page.locator("#status")).toHaveText(/rows · over/);
  await page.getByRole("button", { name: "Sample" }).click();
  await expect(page.locator("#status")).toHaveText(/rendered faces · 1 face/);
  expect(await page.locator("body").getAttribute("data-plays")).toBe("3");
  expect(errors).toEqual([]);
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
