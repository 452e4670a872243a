/**
 * Nibble in the browser, for other pages too:
 *
 *     const { load } = await import("./engine.js");
 *     const { detector } = await load();
 *     const faces = await detector.image(context.getImageData(0, 0, width, height));
 */

import { AuNetwork } from "./core/au_network";
import { FaceDetector } from "./core/blazeface";
import { Detector } from "./core/detector";
import { download, downloadVouched } from "./core/download";
import { Network, startRuntime } from "./core/network";
import { type FileFacts, type Sidecar, parseSidecar } from "./core/sidecar";

export { type CropRecipe, cut, squareFromEyes } from "./core/crop";
export type { Face } from "./core/detector";
export { sample } from "./core/sampling";
export { AuNetwork, Detector, FaceDetector, Network };

declare const FACE_MODEL_SHA256: string; // set by the build
const FACE_MODEL = "blaze_face_short_range.tflite";
const FIRST_LOOK = 0.5; // least probability at which a place is looked at close up
const DEFAULT_KIND = "int8";

/** A model with its files and what finds faces for it. */
export interface Engine {
  readonly sidecar: Sidecar;
  readonly faceDetector: FaceDetector;
  readonly detector: Detector;
  /** One of the model's files, loaded when it is first asked for. */
  network(file: FileFacts): Promise<AuNetwork>;
}

/**
 * Loads the model that was built into the page; `base` is the page's address. Videos are searched for new faces every
 * `searchEvery` frames. Throws UserError.
 */
export async function load(base = new URL(/* @vite-ignore */ ".", import.meta.url).href, searchEvery = 10): Promise<Engine> {
  await startRuntime(new URL("litert/", base).href);
  const address = (name: string) => new URL(`model/${name}`, base).href;
  const sidecar = parseSidecar(new TextDecoder().decode(await download(address("model.json"))));
  const faceModel = await downloadVouched(address(FACE_MODEL), FACE_MODEL_SHA256);
  const faceDetector = new FaceDetector(await Network.compile(faceModel, FACE_MODEL), FIRST_LOOK);
  const networks = new Map<string, Promise<AuNetwork>>();
  const network = (file: FileFacts) => {
    const loaded = networks.get(file.name) ?? compile(file, address(file.name), sidecar);
    networks.set(file.name, loaded);
    return loaded;
  };
  const first = sidecar.files.find((file) => file.kind === DEFAULT_KIND) ?? sidecar.files[0];
  return { sidecar, faceDetector, network, detector: new Detector(faceDetector, sidecar, await network(first), searchEvery) };
}

async function compile(file: FileFacts, address: string, sidecar: Sidecar): Promise<AuNetwork> {
  return AuNetwork.compile(await downloadVouched(address, file.sha256), file, sidecar);
}
