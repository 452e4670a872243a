import { test } from "@playwright/test";
import { keep, readFixture } from "../e2e/page";

const TIMED_RUNS = 200;

/** benchmarks/runtimes.py prepares the crops and compares what is kept here with other machines. */
test("outputs, latency and memory of every file", async ({ page }) => {
  test.setTimeout(900_000);
  const crops: string[] = JSON.parse(readFixture("crops.json").toString());
  await page.goto("./model/MODEL_CARD.md");
  const found = await page.evaluate(async ({ crops, runs }) => {
    const address = "/engine.js";
    const { load, AuNetwork } = (await import(address)) as typeof import("../src/engine");
    const { sidecar } = await load();
    const bytes = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const memory = async () => {
      const { measureUserAgentSpecificMemory } = performance as unknown as { measureUserAgentSpecificMemory: () => Promise<{ bytes: number }> };
      return (await measureUserAgentSpecificMemory.call(performance)).bytes;
    };
    const files: Record<string, object> = {};
    for (const file of sidecar.files) {
      const before = await memory();
      const content = new Uint8Array(await (await fetch(`/model/${file.name}`)).arrayBuffer());
      const network = await AuNetwork.compile(content, file, sidecar);
      const outputs: number[][] = [];
      for (const crop of crops) outputs.push([...(await network.logits(bytes(crop)))]);
      const crop = bytes(crops[0]);
      const milliseconds: number[] = [];
      for (let index = 0; index < runs; index++) {
        const start = performance.now();
        await network.logits(crop);
        milliseconds.push(performance.now() - start);
      }
      files[file.name] = { outputs, milliseconds, memory: (await memory()) - before };
    }
    return files;
  }, { crops, runs: TIMED_RUNS });
  keep("bench.json", JSON.stringify(found));
});
