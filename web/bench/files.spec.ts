import { expect, test } from "@playwright/test";
import { keep, readFixture } from "../e2e/page";

const TIMED_RUNS = 200;

/** benchmarks/runtimes.py prepares the crops and compares what is kept here with other machines. A file, a page. */
test("outputs, latency and memory of every file", async ({ page }) => {
  test.setTimeout(900_000);
  const crops: string[] = JSON.parse(readFixture("crops.json").toString());
  const files: Record<string, object> = {};
  for (const name of ["model_float32.tflite", "model_int8.tflite", "model_int4.tflite"]) {
    await page.goto("./model/MODEL_CARD.md");
    files[name] = await page.evaluate(async ({ name, crops, runs }) => {
      const address = "/engine.js";
      const { load, AuNetwork } = (await import(address)) as typeof import("../src/engine");
      const { sidecar } = await load();
      const bytes = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const memory = async () => {
        const { measureUserAgentSpecificMemory } = performance as unknown as { measureUserAgentSpecificMemory: () => Promise<{ bytes: number }> };
        return (await measureUserAgentSpecificMemory.call(performance)).bytes;
      };
      const file = sidecar.files.find((one) => one.name === name);
      if (!file) throw new Error(`the sidecar does not name ${name}`);
      const content = new Uint8Array(await (await fetch(`/model/${name}`)).arrayBuffer());
      const network = await AuNetwork.compile(content, file, sidecar);
      const inputs = crops.map(bytes);
      const outputs: number[][] = [];
      for (const crop of inputs) outputs.push([...(await network.logits(crop))]);
      const milliseconds: number[] = [];
      for (let run = 0; run < runs; run++) {
        const start = performance.now();
        await network.logits(inputs[run % inputs.length]);
        milliseconds.push(performance.now() - start);
      }
      return { outputs, milliseconds, memory: await memory() };
    }, { name, crops, runs: TIMED_RUNS });
  }
  expect(Object.keys(files)).toHaveLength(3);
  keep("bench.json", JSON.stringify(files));
});
