/** What went wrong, said on the page. */

import { UserError } from "../core/failure";
import { byId } from "./elements";

/** Shows an error; undefined: none. */
export function showProblem(error: unknown): void {
  const place = byId("problem", HTMLElement);
  place.hidden = error === undefined;
  place.textContent = error instanceof Error ? error.message : String(error ?? "");
  if (error !== undefined && !(error instanceof UserError)) console.error(error);
}
