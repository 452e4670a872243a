import { expect, test } from "@playwright/test";
import { choose, downloadCsv, fixture, keep, openPage, readFixture } from "./page";

test.beforeEach(async ({ page }) => openPage(page));

test("a picture: bars, box and CSV", async ({ page }) => {
  await choose(page, "open-picture", fixture("faces_0.png"));
  await expect(page.locator("#status")).toHaveText(/faces_0\.png · 1 face/);
  await expect(page.locator("#overlay rect")).toHaveCount(1);
  const { name, text, rows } = await downloadCsv(page);
  expect(name).toBe("faces_0_png.csv");
  expect(rows).toHaveLength(1);
  for (const bar of await page.locator(".bar").all()) {
    const column = ((await bar.getAttribute("data-label")) ?? "").replace(/^AU(\d)$/, "AU0$1");
    expect(await bar.getAttribute("aria-valuenow")).toBe(rows[0][`${column}_p`]);
    await expect(bar).toHaveClass(rows[0][`${column}_c`] === "1" ? /present/ : /^bar$/);
  }
  keep("picture.csv", text);
});

test("two faces: the bars show the one that is chosen", async ({ page }) => {
  await choose(page, "open-picture", fixture("two_faces.png"));
  await expect(page.locator("#status")).toHaveText(/2 faces/);
  await expect(page.locator("#overlay rect")).toHaveCount(2);
  const { rows } = await downloadCsv(page);
  expect(rows.map((row) => row["face_id"])).toEqual(["0", "1"]);
  const shown = () => page.locator('.bar[data-label="AU12"]').getAttribute("aria-valuenow");
  expect(await shown()).toBe(rows[0]["AU12_p"]);
  await page.getByRole("button", { name: "face 1" }).click();
  await expect.poll(shown).toBe(rows[1]["AU12_p"]);
});

test("a picture without a face has a row too", async ({ page }) => {
  await choose(page, "open-picture", fixture("empty.png"));
  await expect(page.locator("#status")).toHaveText(/no faces/);
  const { rows } = await downloadCsv(page);
  expect([rows[0]["face_id"], rows[0]["success"], rows[0]["AU12_p"]]).toEqual(["-1", "0", ""]);
});

test("a photograph of a person is found, with a word of caution", async ({ page }) => {
  await choose(page, "open-picture", fixture("portrait.jpg"));
  await expect(page.locator("#status")).toHaveText(/portrait\.jpg · 1 face/);
  await expect(page.locator("#caution")).toContainText("rendered faces only");
});

test.describe("unreadable pictures", () => {
  const cases: [string, () => Buffer, string][] = [
    ["nothing.png", () => Buffer.alloc(0), "no picture that this browser can read"],
    ["noise.jpg", () => Buffer.from("this is text"), "no picture that this browser can read"],
    ["cut.jpg", () => readFixture("portrait.jpg").subarray(0, 9000), "the JPEG ends early"],
  ];
  for (const [name, content, message] of cases) {
    test(name, async ({ page }) => {
      await choose(page, "open-picture", { name, mimeType: "image/jpeg", buffer: content() });
      await expect(page.getByRole("alert")).toContainText(`${name}`);
      await expect(page.getByRole("alert")).toContainText(message);
      await expect(page.locator("#status")).toHaveText(/rendered faces/); // what was shown goes on
    });
  }
});
