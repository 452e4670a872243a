/** The page. */

import { download } from "./core/download";
import { parseModelCard } from "./core/model_card";
import { load } from "./engine";
import { showCard } from "./page/card";
import { byId } from "./page/elements";
import { Page } from "./page/page";
import { showProblem } from "./page/problem";
import { openSample } from "./sources/sample";

const SEARCH_EVERY = 30; // frames: a search takes as long as several frames
const ADDRESS = new URL(".", document.baseURI).href;

async function begin(): Promise<void> {
  const engine = await load(ADDRESS, SEARCH_EVERY);
  const page = new Page(engine);
  await page.open("open-sample", openSample);
  const card = new TextDecoder().decode(await download("model/MODEL_CARD.md"));
  showCard(byId("card", HTMLElement), engine.sidecar, parseModelCard(card));
  await page.measure();
}

begin().catch((error: unknown) => {
  byId("waiting", HTMLElement).textContent = "The network did not load.";
  showProblem(error);
});
