import { type Page, expect, test } from "@playwright/test";
import { keep, readFixture } from "./page";

const FRAMES = 16; // of tests/web/web_page.py

test("crops and probabilities of rendered faces", async ({ page }) => {
  keep("numbers.json", JSON.stringify(await numbers(page)));
});

test("the same in LiteRT.js's build for browsers without relaxed SIMD", async ({ page }) => {
  let answers = 0;
  await page.route("**/litert_wasm_internal.js", async (route) => {
    answers++;
    const response = await route.fetch({ url: route.request().url().replace("_internal", "_compat_internal") });
    await route.fulfill({ response });
  });
  keep("numbers_compat.json", JSON.stringify(await numbers(page)));
  expect(answers).toBe(1);
});

/**
 * What the browser makes of the pictures: faces, crops at Python's eyes, and probabilities of Python's crops by every file; and
 * the faces that it follows through the frames of a video.
 */
async function numbers(page: Page): Promise<unknown> {
  const expected: { file: string; faces: { eyes: number[][]; crop: string }[] }[] = JSON.parse(readFixture("expected.json").toString());
  const images = expected.map((entry) => ({ ...entry, content: readFixture(entry.file).toString("base64") }));
  const video = Array.from({ length: FRAMES }, (_, frame) => readFixture(`frame_${frame}.png`).toString("base64"));
  await page.goto("./model/MODEL_CARD.md"); // same origin and policy, without the page's own work
  return page.evaluate(async ({ images, video }) => {
    const address = "/engine.js";
    const { load, cut, squareFromEyes } = (await import(address)) as typeof import("../src/engine");
    const engine = await load();
    const networks = await Promise.all(engine.sidecar.files.map((file) => engine.network(file)));
    const fromBase64 = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
    const read = async (content: string) => {
      const bitmap = await createImageBitmap(new Blob([fromBase64(content)]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d") as OffscreenCanvasRenderingContext2D;
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, bitmap.width, bitmap.height);
    };
    const results = [];
    for (const { file, faces, content } of images) {
      const image = await read(content);
      const seen = await engine.detector.image(image);
      const crops = faces.map(({ eyes: [right, left] }) => cut(engine.sidecar.crop, image, squareFromEyes(engine.sidecar.crop, right as [number, number], left as [number, number])));
      const probabilities: Record<string, number[][]> = {};
      for (const network of networks) {
        const kind = network.file.kind;
        probabilities[kind] = [];
        for (const face of faces) probabilities[kind].push(await network.probabilities(fromBase64(face.crop)));
      }
      results.push({
        file,
        faces: seen.map((face) => ({ ...face, eyes: [face.rightEye, face.leftEye], probabilities: [...face.probabilities.values()] })),
        crops: crops.map(toBase64),
        probabilities,
      });
    }
    const frames = [];
    for (const content of video) {
      const seen = await engine.detector.frame(await read(content));
      frames.push(seen.map(({ id, box }) => ({ id, box })));
    }
    return { pictures: results, frames };
  }, { images, video });
}
