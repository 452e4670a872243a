/** TFLite files on LiteRT.js, its wasm backend (XNNPACK), one thread. */

import { type CompiledModel, Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";
import { UserError } from "./failure";

let runtime: Promise<unknown> | undefined;

/** Starts the runtime, once for the page; `folder` is the address that holds its wasm files. */
export async function startRuntime(folder: string): Promise<void> {
  try {
    await (runtime ??= loadLiteRt(folder));
  } catch (error) {
    throw new UserError(`LiteRT.js did not start: ${words(error)}. A browser of 2023 or later is needed.`);
  }
}

/** A network with one float32 input and float32 outputs. */
export class Network {
  private constructor(private readonly model: CompiledModel) {}

  /** Compiles the content of a file; `name` is what messages call it. */
  static async compile(content: Uint8Array, name: string): Promise<Network> {
    let model: CompiledModel;
    try {
      model = await loadAndCompile(content, { accelerator: "wasm", cpuOptions: { numThreads: 1 } });
    } catch (error) {
      throw new UserError(`${name}: LiteRT.js cannot run it: ${words(error)}`);
    }
    return new Network(model);
  }

  get inputShape(): number[] {
    return Array.from(this.model.getInputDetails()[0].shape);
  }

  get outputShapes(): number[][] {
    return this.model.getOutputDetails().map((output) => Array.from(output.shape));
  }

  /** All outputs for one input, both flat. */
  async run(values: Float32Array): Promise<Float32Array[]> {
    const input = new Tensor(values, this.inputShape);
    try {
      const outputs = await this.model.run([input]);
      const copies = outputs.map((output) => (output.toTypedArray() as Float32Array).slice());
      for (const output of outputs) output.delete();
      return copies;
    } finally {
      input.delete();
    }
  }
}

function words(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
