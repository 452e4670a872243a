import { expect, test } from "@playwright/test";
import { openPage } from "./page";

test("a refused camera is explained, and the sample goes on", async ({ page }) => {
  await openPage(page);
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
  });
  await page.getByRole("button", { name: "Camera" }).click();
  await expect(page.getByRole("alert")).toContainText("This page may not use the camera. Allow it");
  await expect(page.locator("#status")).toHaveText(/rendered faces · 1 face/);
});

test("no camera at all is explained", async ({ page }) => {
  await openPage(page);
  await page.getByRole("button", { name: "Camera" }).click();
  await expect(page.getByRole("alert")).toContainText(/No camera was found|may not use the camera/);
});
