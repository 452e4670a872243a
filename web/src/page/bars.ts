/** A bar for every action unit: its number, its FACS name, its probability and its threshold. */

import { auName } from "../core/action_units";
import { learnedLabels, thresholdOf } from "../core/csv";
import type { Face } from "../core/detector";
import type { Sidecar } from "../core/sidecar";
import { element } from "./elements";

interface Bar {
  readonly row: HTMLElement;
  readonly fill: HTMLElement;
  readonly value: HTMLElement;
}

/** The bars of one face. */
export class Bars {
  private readonly bars = new Map<string, Bar>();

  constructor(place: HTMLElement, private readonly sidecar: Sidecar) {
    for (const label of learnedLabels(sidecar)) this.bars.set(label, this.add(place, label));
  }

  /** Show a face; undefined: none. */
  show(face: Face | undefined): void {
    for (const [label, { row, fill, value }] of this.bars) {
      const probability = face?.probabilities.get(label);
      const present = probability !== undefined && probability >= thresholdOf(this.sidecar, label);
      row.classList.toggle("present", present);
      row.setAttribute("aria-valuenow", (probability ?? 0).toFixed(4));
      row.setAttribute("aria-valuetext", `${percent(probability)}, ${present ? "present" : "not present"}`);
      fill.style.transform = `scaleX(${probability ?? 0})`;
      value.textContent = percent(probability);
    }
  }

  private add(place: HTMLElement, label: string): Bar {
    const fill = element("i", "fill");
    const mark = element("i", "mark");
    mark.style.left = `${100 * thresholdOf(this.sidecar, label)}%`;
    const value = element("span", "value", percent(undefined));
    const name = element("span", "name", [element("b", "", label), document.createTextNode(` ${auName(label)}`)]);
    const row = element("div", "bar", [name, element("span", "track", [fill, mark]), value]);
    row.dataset["label"] = label;
    row.setAttribute("role", "meter");
    row.setAttribute("aria-label", `${label} ${auName(label)}`);
    row.setAttribute("aria-valuemin", "0");
    row.setAttribute("aria-valuemax", "1");
    place.append(row);
    return { row, fill, value };
  }
}

function percent(probability: number | undefined): string {
  return probability === undefined ? "–" : `${Math.round(100 * probability)} %`;
}
