/** The action unit network: one face crop in, one probability an action unit out; the twin of pipeline/detect/network.py. */

import { probability } from "./blazeface";
import { UserError } from "./failure";
import { Network } from "./network";
import { median } from "./smoothing";
import type { FileFacts, Sidecar } from "./sidecar";
import { unpackInt4 } from "./unpack_int4";

const PIXEL_VALUES = Float32Array.from({ length: 256 }, (_, pixel) => pixel * Math.fround(1 / 255));
const WARM_UP_RUNS = 10;
const TIMED_RUNS = 60;

/** One of a model's files, ready to run. */
export class AuNetwork {
  private readonly input: Float32Array;

  private constructor(
    readonly file: FileFacts,
    private readonly network: Network,
  ) {
    this.input = new Float32Array(network.inputShape.reduce((product, length) => product * length));
  }

  /** Compiles a file; throws UserError if it is not what its sidecar says. */
  static async compile(content: Uint8Array, file: FileFacts, sidecar: Sidecar): Promise<AuNetwork> {
    const network = await Network.compile(unpackInt4(content, file.name), file.name);
    const { size, grey } = sidecar.crop;
    const expected = [[1, size, size, grey ? 1 : 3], [1, sidecar.labels.length]];
    const found = [network.inputShape, ...network.outputShapes];
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      throw new UserError(`${file.name}: its input and output are ${JSON.stringify(found)}, its sidecar says ${JSON.stringify(expected)}`);
    }
    return new AuNetwork(file, network);
  }

  /** Logits (A,), in the order of the sidecar's labels, of a face crop (H, W, C). */
  async logits(crop: Uint8Array): Promise<Float32Array> {
    for (let i = 0; i < crop.length; i++) this.input[i] = PIXEL_VALUES[crop[i]];
    return (await this.network.run(this.input))[0];
  }

  /** Probabilities (A,) of a face crop (H, W, C). */
  async probabilities(crop: Uint8Array): Promise<number[]> {
    return Array.from(await this.logits(crop), probability);
  }

  /** The median time of a run in milliseconds, measured now. */
  async latencyMs(): Promise<number> {
    const times: number[] = [];
    for (let run = 0; run < WARM_UP_RUNS + TIMED_RUNS; run++) {
      const start = performance.now();
      await this.network.run(this.input);
      if (run >= WARM_UP_RUNS) times.push(performance.now() - start);
    }
    return median(times);
  }
}
