/** What to know about the model, in plain words. */

import type { ModelCard } from "../core/model_card";
import type { Sidecar } from "../core/sidecar";
import { element } from "./elements";

const RENDERED = "synthetic_faces";

/** What stands under a picture of real people; empty for models that learned from people. */
export function caution(sidecar: Sidecar): string {
  return sidecar.data === RENDERED ? "This network has seen rendered faces only. On people, take what it says as a demonstration." : "";
}

/** Fills the section. */
export function showCard(place: HTMLElement, sidecar: Sidecar, card: ModelCard): void {
  const scores = [...card.scores].map(([kind, score]) => `${kind} ${score.toFixed(1)} %`).join(", ");
  const images = card.images?.toLocaleString("en") ?? "its";
  const facts: [string, string][] = [
    ["Where it learned", sidecar.dataLicense],
    ["Its limits", card.limits],
    ["How good it is", scores && `${card.metric} on ${images} test images of persons it had not seen: ${scores}. Without any mistake it would be 100 %.`],
    ["What it is not", "Action units are movements of the face. They are not feelings, and no ground for decisions about anybody."],
    ["Where pictures go", "Nowhere. The security policy of this page forbids every connection but to the server that it came from."],
  ];
  const list = element("dl");
  for (const [name, text] of facts.filter(([, text]) => text)) list.append(element("div", "", [element("dt", "", name), element("dd", "", sentence(text))]));
  const link = element("a", "", "The whole model card");
  link.href = "model/MODEL_CARD.md";
  place.replaceChildren(list, element("p", "note", [link]));
}

function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
