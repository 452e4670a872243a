import { type Page, expect, test } from "@playwright/test";
import { choose, downloadCsv, fixture, keep, openPage } from "./page";

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

test("a picture that is opened while the camera is waited for stays", async ({ page }) => {
  await openPage(page);
  await watchCameras(page, true);
  await page.getByRole("button", { name: "Camera" }).click();
  await choose(page, "open-picture", fixture("faces_0.png"));
  await expect(page.locator("#status")).toHaveText(/faces_0\.png · 1 face/);
  await page.evaluate(() => document.dispatchEvent(new Event("granted")));
  await expect.poll(() => cameras(page)).toEqual(["ended"]);
  await expect(page.locator("#status")).toHaveText(/faces_0\.png · 1 face/);
  await expect(page.locator("#open-picture")).toHaveClass(/active/);
});

test("of many sources that are opened at once the last one stays", async ({ page }) => {
  await openPage(page);
  await choose(page, "open-picture", fixture("faces_0.png"));
  await expect(page.locator("#status")).toHaveText(/faces_0\.png · 1 face/);
  await watchCameras(page, true);
  await page.evaluate(() => {
    for (let click = 0; click < 12; click++) document.getElementById(click < 11 ? "open-camera" : "open-sample")?.click();
  });
  await expect.poll(() => cameras(page)).toEqual(Array(11).fill("live"));
  await expect(page.locator("#status")).toHaveText(/rendered faces · 1 face/);
  await page.evaluate(() => document.dispatchEvent(new Event("granted")));
  await expect.poll(() => cameras(page)).toEqual(Array(11).fill("ended"));
  await expect(page.locator("#status")).toHaveText(/rendered faces · 1 face/);
  await expect(page.locator("#open-sample")).toHaveClass(/active/);
});

test("a camera that does not play is switched off", async ({ page }) => {
  await openPage(page);
  await watchCameras(page, false);
  await page.evaluate(() => {
    HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException("no", "NotSupportedError"));
  });
  await page.getByRole("button", { name: "Camera" }).click();
  await expect(page.getByRole("alert")).toContainText("The camera does not play in this browser");
  expect(await cameras(page)).toEqual(["ended"]);
});

/** Keeps every camera that is switched on; if `asked`, the page gets them when the event "granted" comes. */
async function watchCameras(page: Page, asked: boolean): Promise<void> {
  await page.evaluate((asked) => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    const streams: MediaStream[] = [];
    Object.assign(window, { streams });
    const granted = asked ? new Promise((resolve) => document.addEventListener("granted", resolve)) : undefined;
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      streams.push(stream);
      await granted;
      return stream;
    };
  }, asked);
}

/** The states of the cameras that were switched on: live or ended. */
async function cameras(page: Page): Promise<string[]> {
  return page.evaluate(() => (window as unknown as { streams: MediaStream[] }).streams.map((stream) => stream.getTracks()[0].readyState));
}
