import { expect, test } from "@playwright/test";
import { choose, downloadCsv, fixture, openPage } from "./page";

test.use({
  launchOptions: {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${fixture("camera.y4m")}`],
  },
});

test("no request leaves the page's origin, and the policy is never hurt", async ({ page, baseURL }) => {
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("websocket", (socket) => requests.push(socket.url()));
  page.on("console", (message) => /Content.Security.Policy|Refused to/i.test(message.text()) && complaints.push(message.text()));
  await openPage(page);
  await choose(page, "open-picture", fixture("faces_0.png"));
  await expect(page.locator("#status")).toHaveText(/faces_0\.png/);
  await choose(page, "open-video", fixture("faces.webm"));
  await expect(page.locator("#status")).toHaveText(/faces\.webm · 1 face/);
  await page.getByRole("button", { name: "Camera" }).click();
  await expect(page.locator("#status")).toHaveText(/camera · 1 face/);
  await downloadCsv(page);
  for (const kind of ["float32", "int4"]) await page.locator(`input[value=${kind}]`).click();
  await expect(page.locator(".latency").last()).toHaveText(/ms$/);
  expect(requests.length).toBeGreaterThan(8);
  const origin = new URL(baseURL as string).origin;
  expect(requests.filter((address) => !address.startsWith(`${origin}/`) && !address.startsWith(`blob:${origin}/`))).toEqual([]);
  expect(complaints).toEqual([]);
});

test("what the policy forbids is stopped", async ({ page }) => {
  await openPage(page);
  const attempts = await page.evaluate(async () => {
    const violations: string[] = [];
    document.addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
    const failed = await fetch("https://example.com/").then(() => false, () => true);
    const image = new Image();
    image.src = "https://example.com/pixel.png";
    await new Promise((resolve) => image.addEventListener("error", resolve));
    const script = document.createElement("script");
    script.textContent = "window.injected = true";
    document.body.append(script);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { failed, injected: "injected" in window, violations: [...new Set(violations)].sort() };
  });
  expect(attempts).toEqual({ failed: true, injected: false, violations: ["connect-src", "img-src", "script-src-elem"] });
});

test("the policy comes as a header and in the page; memory can be shared between threads", async ({ page }) => {
  const response = await page.goto("./");
  const headers = response?.headers() ?? {};
  expect(headers["content-security-policy"]).toContain("default-src 'self'; script-src 'self' 'wasm-unsafe-eval'");
  expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  const meta = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
  expect(headers["content-security-policy"]).toContain(meta as string);
  expect(meta).not.toMatch(/unsafe-inline|'unsafe-eval'|https?:|\*/);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
});
