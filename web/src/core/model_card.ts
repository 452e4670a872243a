/** What MODEL_CARD.md says, for people (pipeline/tflite/ship.py writes it). */

/** Its limits, and for each kind of file the score in percent; `metric` is what the score is called. */
export interface ModelCard {
  readonly limits: string;
  readonly metric: string;
  readonly images: number | undefined;
  readonly scores: ReadonlyMap<string, number>;
}

/** Reads the card; what it does not say is empty. */
export function parseModelCard(text: string): ModelCard {
  const rows = text.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  const head = rows.find((cells) => cells[1] === "file");
  const scores = rows
    .filter((cells) => cells.length === 6 && /^(int\d|float\d+)$/.test(cells[1]) && Number.isFinite(Number(cells[3])))
    .map((cells) => [cells[1], Number(cells[3])] as const);
  const images = /on ([\d,]+) test images/.exec(text)?.[1];
  return {
    limits: /^Limits: (.*)$/m.exec(text)?.[1] ?? "",
    metric: head?.[3].replace(/ %$/, "") ?? "",
    images: images === undefined ? undefined : Number(images.replace(",", "")),
    scores: new Map(scores),
  };
}
