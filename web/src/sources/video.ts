/** What a <video> element plays: a camera or a file. Frames that come while one is being looked at are left out. */

import { UserError } from "../core/failure";
import { FrameReader } from "./canvas";
import { PlayingTime } from "./playing_time";
import type { Frame, Source } from "./source";

const CAMERA = { video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } }, audio: false };
const KINDS = "MP4 (H.264) and WebM work in most browsers.";
const CAMERA_PROBLEMS: Record<string, string> = {
  NotAllowedError: "This page may not use the camera. Allow it (the camera symbol beside the address), then press Camera again. The picture stays on this device.",
  NotFoundError: "No camera was found. Connect one and press Camera again, or open a video or a picture.",
  NotReadableError: "The camera is busy: close the other program that uses it, then press Camera again.",
};

/** Opens the camera; throws UserError if there is none or it may not be used. */
export async function openCamera(): Promise<Source> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new UserError("Browsers give cameras to pages over https:// or on http://localhost only. Open this page there.");
  }
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(CAMERA);
  } catch (error) {
    const { name, message } = error as DOMException;
    throw new UserError(CAMERA_PROBLEMS[name] ?? `The camera did not start: ${message || name}.`);
  }
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  const video = newVideo();
  video.srcObject = stream;
  const source = new VideoSource("camera", video, true, performance.now() / 1000, stop);
  await source.start("The camera does not play in this browser.");
  for (const track of stream.getTracks()) track.addEventListener("ended", () => source.close()); // unplugged
  return source;
}

/** Opens a video file; throws UserError if the browser cannot play it. */
export async function openVideo(file: File): Promise<Source> {
  const video = newVideo();
  const address = URL.createObjectURL(file);
  video.src = address;
  const source = new VideoSource(file.name, video, false, undefined, () => URL.revokeObjectURL(address));
  await source.start(`${file.name} does not play in this browser: damaged, or of an unknown kind. ${KINDS}`);
  return source;
}

class VideoSource implements Source {
  readonly still = false;
  private readonly reader = new FrameReader();
  private readonly played: PlayingTime;
  private duration = Infinity;
  private frames = 0;
  private closed = false;
  private wake: () => void = () => {};

  /** `begin`: when a live picture began, in seconds of the page's clock; a file has its own time. */
  constructor(
    readonly title: string,
    private readonly video: HTMLVideoElement,
    readonly mirrored: boolean,
    private readonly begin: number | undefined,
    private readonly stop: () => void,
  ) {
    this.played = new PlayingTime(video);
    for (const event of ["ended", "error"]) video.addEventListener(event, () => this.wake());
  }

  /** Plays; throws UserError, with `problem` if that fails, and closes itself then. */
  async start(problem: string): Promise<void> {
    try {
      await this.video.play();
    } catch {
      this.close();
      throw new UserError(problem);
    }
    if (this.video.videoWidth === 0) {
      this.close();
      throw new UserError(`${this.title} has no picture that this browser can show: sound only, or of an unknown kind. ${KINDS}`);
    }
    this.duration = this.video.duration;
  }

  async next(): Promise<Frame | undefined> {
    const mediaTime = await this.newFrame();
    if (mediaTime === undefined) return this.closed ? undefined : this.end();
    this.frames++;
    const timestamp = this.begin === undefined ? mediaTime : performance.now() / 1000 - this.begin;
    return this.reader.read(this.video, this.video.videoWidth, this.video.videoHeight, timestamp);
  }

  pause(paused: boolean): void {
    if (paused) this.video.pause();
    else this.video.play().catch(() => {}); // the next pause interrupts it; other failures come as events
  }

  close(): void {
    this.closed = true;
    this.video.pause();
    this.stop();
    this.wake();
  }

  /** Nothing comes after the end; throws UserError if it was not that of the whole video. */
  private end(): undefined {
    if (this.video.error || this.played.isShortOf(this.duration)) {
      const length = Number.isFinite(this.duration) ? ` of its ${this.duration.toFixed(1)}` : "";
      throw new UserError(`${this.title} ends after ${this.played.seconds.toFixed(1)}${length} seconds: damaged or cut off. Copy it again; the rows so far are kept.`);
    }
    if (this.frames === 0) {
      throw new UserError(`${this.title} was over before a frame of it was seen. Keep this page in sight while it plays; if it has one frame only, open it as a picture.`);
    }
    return undefined;
  }

  /** The time of the next frame that is shown, in seconds of the video; undefined at its end. */
  private newFrame(): Promise<number | undefined> {
    return new Promise((resolve) => {
      const isOver = () => this.closed || this.video.ended || this.video.error !== null;
      this.wake = () => isOver() && resolve(undefined);
      this.video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime));
      this.wake();
    });
  }
}

function newVideo(): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  return video;
}
