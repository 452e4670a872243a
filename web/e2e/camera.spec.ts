import { expect, test } from "@playwright/test";
import { downloadCsv, fixture, keep, openPage } from "./page";

const ENOUGH = 40; // rows, more than until the second search for faces

test.use({
  launchOptions: {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${fixture("camera.y4m")}`],
  },
});

test("a camera that plays a rendered face", async ({ page }) => {
  await openPage(page);
  await page.getByRole("button", { name: "Camera" }).click();
  await expect(page.locator("#status")).toHaveText(/camera · 1 face · \d+ fps/);
  await expect(page.locator("#picture")).toHaveClass("mirrored");
  const rows = async () => Number(/([\d,]+) rows/.exec(await page.locator("#status").innerText())?.[1]);
  await expect.poll(rows, { timeout: 60_000 }).toBeGreaterThan(ENOUGH);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.waitForTimeout(500);
  const { name, text, rows: found } = await downloadCsv(page);
  expect(name).toBe("camera.csv");
  expect(new Set(found.map((row) => row["face_id"]))).toEqual(new Set(["0"]));
  const picture = await page.locator("#picture").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL("image/png"));
  keep("camera.png", Buffer.from(picture.split(",")[1], "base64"));
  keep("camera.csv", text);
});
