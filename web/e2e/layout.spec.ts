import { type Page, expect, test } from "@playwright/test";
import { keep, openPage } from "./page";

const SIZES = [[320, 640], [360, 780], [768, 1024], [1280, 900]];
const LEAST_TARGET = 36; // pixels of a thing to press

for (const colorScheme of ["light", "dark"] as const) {
  test(`${colorScheme}: nothing sticks out at any width, everything can be pressed`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await openPage(page);
    await expect(page.locator("#card dt").first()).toBeVisible();
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      const { scroll, outside, heights } = await layout(page);
      expect(scroll).toBeLessThanOrEqual(width);
      expect(outside).toEqual([]);
      expect(heights.length).toBeGreaterThan(8);
      expect(Math.min(...heights)).toBeGreaterThanOrEqual(LEAST_TARGET);
      keep(`page_${width}_${colorScheme}.png`, await page.screenshot({ fullPage: true }));
    }
  });
}

/** The page's width, what lies outside the window, and the heights of what can be pressed. */
async function layout(page: Page): Promise<{ scroll: number; outside: string[]; heights: number[] }> {
  return page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    outside: [...document.querySelectorAll("body *:not(#overlay *):not(.button input)")]
      .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
      .map((one) => one.id || one.className.toString()),
    heights: [...document.querySelectorAll("button, .button, select, .model")].map((one) => one.getBoundingClientRect().height),
  }));
}
