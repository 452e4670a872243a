/** The names of the facial action units (Ekman and Friesen 1978, FACS). */

const NAMES = new Map([
  [1, "inner brow raiser"],
  [2, "outer brow raiser"],
  [4, "brow lowerer"],
  [5, "upper lid raiser"],
  [6, "cheek raiser"],
  [7, "lid tightener"],
  [9, "nose wrinkler"],
  [10, "upper lip raiser"],
  [11, "nasolabial deepener"],
  [12, "lip corner puller"],
  [13, "sharp lip puller"],
  [14, "dimpler"],
  [15, "lip corner depressor"],
  [16, "lower lip depressor"],
  [17, "chin raiser"],
  [18, "lip pucker"],
  [20, "lip stretcher"],
  [22, "lip funneler"],
  [23, "lip tightener"],
  [24, "lip pressor"],
  [25, "lips part"],
  [26, "jaw drop"],
  [27, "mouth stretch"],
  [28, "lip suck"],
  [43, "eyes closed"],
]);

/** The number of a label such as AU12; undefined for other labels. */
export function auNumber(label: string): number | undefined {
  const match = /^AU0*(\d+)$/.exec(label);
  return match ? Number(match[1]) : undefined;
}

/** A label's FACS name in words; empty if it has none. */
export function auName(label: string): string {
  return NAMES.get(auNumber(label) ?? -1) ?? "";
}
