import { expect, test } from "@playwright/test";
import { choose, downloadCsv, fixture, openPage } from "./page";

test("every file shows its size and its latency, and computes when it is chosen", async ({ page }) => {
  await openPage(page);
  const found: Record<string, string> = {};
  for (const kind of ["float32", "int8", "int4"]) {
    const option = page.locator(".model").filter({ has: page.locator(`input[value=${kind}]`) });
    await expect(option.locator(".size")).toHaveText(/^\d+ kB$/);
    await expect(option.locator(".latency")).toHaveText(/^[\d.]+ ms$/);
    await option.click();
    await expect(option.locator("input")).toBeChecked();
    await choose(page, "open-picture", fixture("faces_0.png"));
    await expect(page.locator("#status")).toHaveText(/faces_0\.png · 1 face/);
    found[kind] = (await downloadCsv(page)).rows[0]["AU12_p"];
    await page.getByRole("button", { name: "Sample" }).click();
    await expect(page.locator("#status")).toHaveText(/rendered faces · 1 face/);
  }
  expect(found["float32"]).not.toBe(found["int8"]);
  expect(found["int4"]).toBe(found["int8"]);
});

const damaged: [string, string, string][] = [
  ["model/model_int8.tflite", "NONSENSE", "model_int8.tflite is not the file that its sidecar describes"],
  ["model/blaze_face_short_range.tflite", "NONSENSE", "blaze_face_short_range.tflite is not the file"],
  ["model/model.json", "{", "model.json is damaged"],
];
for (const [file, body, message] of damaged) {
  test(`a damaged ${file} is named`, async ({ page }) => {
    await page.route(`**/${file}`, (route) => route.fulfill({ body }));
    await page.goto("./");
    await expect(page.getByRole("alert")).toContainText(message);
    await expect(page.locator("#waiting")).toHaveText("The network did not load.");
  });
}

test("a file that is damaged when it is chosen leaves the old one at work", async ({ page }) => {
  await page.route("**/model/model_float32.tflite", (route) => route.fulfill({ body: "NONSENSE" }));
  await openPage(page);
  await page.locator("input[value=float32]").click();
  await expect(page.getByRole("alert")).toContainText("model_float32.tflite is not the file that its sidecar describes");
  await expect(page.locator("input[value=int8]")).toBeChecked();
});

test("a missing file is named", async ({ page }) => {
  await page.route("**/model/model_int8.tflite", (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto("./");
  await expect(page.getByRole("alert")).toContainText("model_int8.tflite could not be loaded: the server says 404");
});
