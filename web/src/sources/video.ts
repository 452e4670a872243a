/** What a <video> element plays: a camera or a file. Frames that come while one is being looked at are left out. */

import { UserError } from "../core/failure";
import { FrameReader } from "./canvas";
import type { Frame, Source } from "./source";

const CAMERA = { video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } }, audio: false };
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
  const video = newVideo();
  video.srcObject = stream;
  await started(video, "The camera");
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  const source = new VideoSource("camera", video, true, performance.now() / 1000, stop);
  for (const track of stream.getTracks()) track.addEventListener("ended", () => source.close()); // unplugged
  return source;
}

/** Opens a video file; throws UserError if the browser cannot play it. */
export async function openVideo(file: File): Promise<Source> {
  const video = newVideo();
  const address = URL.createObjectURL(file);
  video.src = address;
  const stop = () => URL.revokeObjectURL(address);
  try {
    await started(video, file.name);
  } catch (error) {
    stop();
    throw error;
  }
  return new VideoSource(file.name, video, false, undefined, stop);
}

class VideoSource implements Source {
  readonly still = false;
  private readonly reader = new FrameReader();
  private closed = false;
  private wake: () => void = () => {};

  /** `start`: when a live picture began, in seconds of the page's clock; a file has its own time. */
  constructor(
    readonly title: string,
    private readonly video: HTMLVideoElement,
    readonly mirrored: boolean,
    private readonly start: number | undefined,
    private readonly stop: () => void,
  ) {
    for (const event of ["ended", "error"]) video.addEventListener(event, () => this.wake());
  }

  async next(): Promise<Frame | undefined> {
    const mediaTime = await this.newFrame();
    if (mediaTime === undefined) return undefined;
    const timestamp = this.start === undefined ? mediaTime : performance.now() / 1000 - this.start;
    return this.reader.read(this.video, this.video.videoWidth, this.video.videoHeight, timestamp);
  }

  pause(paused: boolean): void {
    if (paused) this.video.pause();
    else void this.video.play();
  }

  close(): void {
    this.closed = true;
    this.video.pause();
    this.stop();
    this.wake();
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

async function started(video: HTMLVideoElement, name: string): Promise<void> {
  try {
    await video.play();
  } catch {
    const kinds = video.srcObject ? "" : ": damaged, or of an unknown kind. MP4 (H.264) and WebM work in most browsers";
    throw new UserError(`${name} does not play in this browser${kinds}.`);
  }
}
