/** Everything on the page that shows a model at work. */

import type { Face } from "../core/detector";
import type { FileFacts } from "../core/sidecar";
import type { Engine } from "../engine";
import { openPicture } from "../sources/picture";
import { openSample } from "../sources/sample";
import type { Source } from "../sources/source";
import { openCamera, openVideo } from "../sources/video";
import { Bars } from "./bars";
import { caution } from "./card";
import { byId, element } from "./elements";
import { ModelSwitch } from "./models";
import { showProblem } from "./problem";
import { Recorder, save } from "./recorder";
import { Stage } from "./stage";
import { Timeline } from "./timeline";
import { type Seen, Viewer } from "./viewer";

/** Opens sources, shows what is seen in them, and keeps the rows. */
export class Page {
  private readonly viewer: Viewer;
  private readonly bars: Bars;
  private readonly stage: Stage;
  private readonly timeline: Timeline;
  private readonly recorder: Recorder;
  private readonly models: ModelSwitch;
  private readonly pauseButton = byId("pause", HTMLButtonElement);
  private readonly downloadButton = byId("download", HTMLButtonElement);
  private readonly smoothing = byId("smoothing", HTMLSelectElement);
  private again: () => Promise<void> = async () => {};
  private openings = 0;
  private opening: Promise<void> = Promise.resolve();
  private source: Source | undefined;
  private last: Seen | undefined;
  private selected: number | undefined;

  constructor(private readonly engine: Engine) {
    const { sidecar, detector } = engine;
    this.bars = new Bars(byId("bars", HTMLElement), sidecar);
    this.stage = new Stage(sidecar);
    this.timeline = new Timeline(byId("timeline", HTMLCanvasElement), sidecar);
    this.recorder = new Recorder(sidecar);
    this.models = new ModelSwitch(byId("models", HTMLElement), engine, (file) => this.choose(file));
    this.viewer = new Viewer(detector, (seen) => this.take(seen), (source) => this.end(source), showProblem);
    this.models.show(detector.network);
    this.connect();
  }

  /** Show what a function opens, or what went wrong; `button` is the id of what was pressed. What is opened last wins. */
  open(button: string, opening: () => Promise<Source>): Promise<void> {
    this.opening = this.openAs(++this.openings, button, opening);
    return this.opening;
  }

  /** Load and time all files of the model. */
  async measure(): Promise<void> {
    await this.models.measure().catch(showProblem);
  }

  private async openAs(number: number, button: string, opening: () => Promise<Source>): Promise<void> {
    showProblem(undefined);
    try {
      const source = await opening();
      if (number !== this.openings) return source.close();
      this.again = () => this.open(button, opening);
      for (const one of document.querySelectorAll(".sources > *")) one.classList.toggle("active", one.id === button);
      await this.start(source);
    } catch (error) {
      if (number === this.openings) showProblem(error);
    }
  }

  private connect(): void {
    this.connectButton("open-sample", openSample);
    this.connectButton("open-camera", openCamera);
    this.connectFile("open-video", openVideo);
    this.connectFile("open-picture", openPicture);
    this.pauseButton.addEventListener("click", () => this.pause(this.pauseButton.textContent === "Pause"));
    this.downloadButton.addEventListener("click", () => save(this.recorder.file(), `${this.last?.source.title.replace(/\W+/g, "_")}.csv`));
    this.smoothing.addEventListener("change", () => this.engine.detector.smoothOver(Number(this.smoothing.value)));
    this.engine.detector.smoothOver(Number(this.smoothing.value));
  }

  private connectButton(id: string, opening: () => Promise<Source>): void {
    byId(id, HTMLButtonElement).addEventListener("click", () => void this.open(id, opening));
  }

  private connectFile(id: string, opening: (file: File) => Promise<Source>): void {
    const input = byId(id, HTMLLabelElement).control as HTMLInputElement;
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      input.value = ""; // so that the same file can be opened again
      if (file) void this.open(id, () => opening(file));
    });
  }

  private async start(source: Source): Promise<void> {
    [this.source, this.selected] = [source, undefined];
    this.recorder.clear();
    this.timeline.clear();
    this.pauseButton.textContent = "Pause";
    this.downloadButton.disabled = true;
    byId("status", HTMLElement).textContent = source.title;
    this.pauseButton.disabled = source.still;
    const note = source.title === "rendered faces" ? "" : caution(this.engine.sidecar);
    const place = byId("caution", HTMLElement);
    [place.textContent, place.hidden] = [note, !note];
    await this.viewer.open(source);
  }

  private pause(paused: boolean): void {
    this.pauseButton.textContent = paused ? "Go on" : "Pause";
    this.viewer.pause(paused);
  }

  private async choose(file: FileFacts): Promise<void> {
    try {
      this.engine.detector.network = await this.engine.network(file);
    } catch (error) {
      showProblem(error);
    }
    this.models.show(this.engine.detector.network);
    const opening = this.opening;
    await opening;
    if (this.source?.still && opening === this.opening) await this.again();
  }

  private take(seen: Seen): void {
    this.last = seen;
    this.recorder.add(seen.frame.timestamp, seen.faces);
    const face = this.show(seen);
    if (seen.frame.timestamp !== null) this.timeline.add(seen.frame.timestamp, face);
    this.downloadButton.disabled = false;
    byId("status", HTMLElement).textContent = status(seen, this.recorder.rows);
  }

  /** Draws what was seen; returns the face whose bars are shown. */
  private show({ frame, faces, source }: Seen): Face | undefined {
    const face = faces.find(({ id }) => id === this.selected) ?? faces[0];
    this.stage.show(frame, faces, face?.id, source.mirrored);
    this.bars.show(face);
    this.showFaces(faces, face?.id);
    return face;
  }

  /** Buttons to choose a face with, if there are several. */
  private showFaces(faces: readonly Face[], shown: number | undefined): void {
    const place = byId("faces", HTMLElement);
    const ids = faces.length > 1 ? faces.map(({ id }) => id) : [];
    const before = [...place.children].map((chip) => Number((chip as HTMLElement).dataset["face"]));
    if (ids.join() !== before.join()) place.replaceChildren(...ids.map((id) => this.chip(id)));
    for (const chip of place.children) chip.setAttribute("aria-pressed", String(Number((chip as HTMLElement).dataset["face"]) === shown));
  }

  private chip(id: number): HTMLElement {
    const chip = element("button", "chip", `face ${id}`);
    chip.type = "button";
    chip.dataset["face"] = String(id);
    chip.addEventListener("click", () => {
      this.selected = id;
      this.timeline.clear();
      if (this.last) this.show(this.last);
    });
    return chip;
  }

  private end(source: Source): void {
    this.pauseButton.disabled = true;
    if (!source.still) byId("status", HTMLElement).textContent += " · over";
  }
}

function status({ source, faces, framesPerSecond, milliseconds }: Seen, rows: number): string {
  const count = faces.length === 1 ? "1 face" : `${faces.length || "no"} faces`;
  const speed = source.still ? "" : ` · ${framesPerSecond.toFixed(0)} fps`;
  return `${source.title} · ${count}${speed} · ${milliseconds.toFixed(0)} ms a frame · ${rows.toLocaleString("en")} rows`;
}
