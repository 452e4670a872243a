/** The switch between a model's files, each with its size and its latency on this device. */

import type { AuNetwork } from "../core/au_network";
import type { FileFacts } from "../core/sidecar";
import type { Engine } from "../engine";
import { element } from "./elements";

const ORDER = ["float32", "int8", "int4"];
const WORDS: Record<string, string> = {
  float32: "the same weights, the rest not rounded: to compare with",
  int8: "4-bit codes, a byte each",
  int4: "the same codes, two in a byte; unpacked when it is loaded",
};

/** Radio buttons; `choose` is called with the file that shall be used. */
export class ModelSwitch {
  private readonly latencies = new Map<string, HTMLElement>();
  private readonly inputs = new Map<string, HTMLInputElement>();

  constructor(place: HTMLElement, private readonly engine: Engine, private readonly choose: (file: FileFacts) => Promise<void>) {
    const files = [...engine.sidecar.files].sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind));
    for (const file of files) place.append(this.option(file));
  }

  /** Mark the file in use. */
  show(network: AuNetwork): void {
    const input = this.inputs.get(network.file.kind);
    if (input) input.checked = true;
  }

  /** Load and time every file, one after the other. */
  async measure(): Promise<void> {
    for (const file of this.engine.sidecar.files) {
      const network = await this.engine.network(file);
      const latency = await network.latencyMs();
      const place = this.latencies.get(file.kind);
      if (place) place.textContent = `${latency.toFixed(latency < 10 ? 2 : 0)} ms`;
    }
  }

  private option(file: FileFacts): HTMLElement {
    const input = element("input");
    input.type = "radio";
    input.name = "model";
    input.value = file.kind;
    input.addEventListener("change", () => void this.choose(file));
    const latency = element("span", "latency", "…");
    this.latencies.set(file.kind, latency);
    this.inputs.set(file.kind, input);
    const numbers = element("span", "numbers", [element("span", "size", `${Math.round(file.bytes / 1000)} kB`), latency]);
    return element("label", "model", [input, element("b", "", file.kind), numbers, element("small", "", WORDS[file.kind] ?? "")]);
  }
}
