/** For how long a <video> has been playing. */

const MOST_MISSING = 0.5; // seconds: containers round the lengths of their tracks

/** Watches from before the first play(): the element's own time jumps to the end when a file ends early. */
export class PlayingTime {
  private before = 0;
  private since: number | undefined;

  constructor(private readonly video: EventTarget) {
    this.video.addEventListener("play", () => this.count(performance.now()));
    this.video.addEventListener("pause", () => this.count(undefined)); // at the end too
  }

  /** Seconds so far. */
  get seconds(): number {
    return (this.before + (this.since === undefined ? 0 : performance.now() - this.since)) / 1000;
  }

  /** Whether a video of that many seconds cannot have been played as a whole; never for one without a known length. */
  isShortOf(duration: number): boolean {
    return Number.isFinite(duration) && duration - this.seconds > MOST_MISSING;
  }

  private count(since: number | undefined): void {
    this.before = 1000 * this.seconds;
    this.since = since;
  }
}
