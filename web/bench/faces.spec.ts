import { test } from "@playwright/test";
import { keep, readFixture } from "../e2e/page";

const TIMED_RUNS = 300;
const FRAMES = 1500;

/** benchmarks/web.py prepares the crops and the picture, and compares what is kept here with LiteRT on the machine itself. */
test("logits of crops, latencies, time and memory of frames", async ({ page }) => {
  test.setTimeout(900_000);
  const crops: string[] = JSON.parse(readFixture("crops.json").toString());
  const picture = readFixture("picture.png").toString("base64");
  await page.goto("./model/MODEL_CARD.md");
  const found = await page.evaluate(async ({ crops, picture, runs, frames }) => {
    const address = "/engine.js";
    const { load } = (await import(address)) as typeof import("../src/engine");
    const engine = await load();
    const bytes = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const quantile = (times: number[], share: number) => [...times].sort((a, b) => a - b)[Math.floor(share * (times.length - 1))];
    const summary = (times: number[]) => ({ median: quantile(times, 0.5), p10: quantile(times, 0.1), p90: quantile(times, 0.9), runs: times.length });
    const timed = async (count: number, run: (index: number) => Promise<unknown>) => {
      const times: number[] = [];
      for (let index = 0; index < count; index++) {
        const start = performance.now();
        await run(index);
        times.push(performance.now() - start);
      }
      return times;
    };
    const memory = async () => {
      const { measureUserAgentSpecificMemory } = performance as unknown as { measureUserAgentSpecificMemory: () => Promise<{ bytes: number }> };
      return (await measureUserAgentSpecificMemory.call(performance)).bytes;
    };
    const logits: Record<string, number[][]> = {};
    const latency: Record<string, object> = {};
    for (const file of engine.sidecar.files) {
      const network = await engine.network(file);
      logits[file.kind] = [];
      for (const crop of crops) logits[file.kind].push([...(await network.logits(bytes(crop)))]);
      const crop = bytes(crops[0]);
      latency[file.kind] = summary(await timed(runs, () => network.logits(crop)));
    }
    const bitmap = await createImageBitmap(new Blob([bytes(picture)]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d") as OffscreenCanvasRenderingContext2D;
    context.drawImage(bitmap, 0, 0);
    const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
    await timed(50, () => engine.detector.frame(image));
    const before = await memory();
    const times = await timed(frames, () => engine.detector.frame(image));
    const after = await memory();
    return { logits, latency_ms: latency, frame_ms: summary(times), memory_bytes: { before, after, frames } };
  }, { crops, picture, runs: TIMED_RUNS, frames: FRAMES });
  keep("bench.json", JSON.stringify(found));
});
