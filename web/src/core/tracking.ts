/** Faces that keep their number from frame to frame; the twin of pipeline/faces/tracking.py. */

import { type Detection, type FaceDetector, around } from "./blazeface";
import type { Point } from "./crop";
import { centre, commonShare, isSame, tilt } from "./geometry";
import type { Pixels } from "./pixels";
import type { Square } from "./sampling";
import { findFaces, look } from "./search";

const HOLD = 25; // frames for which a face that is out of sight keeps its number
const WIDEST = 4; // a glance looks for faces this part of the image's longer side and larger
const NEAR = 1.0; // how far from its expected place a face may come back, its width = 1
const SWELLING = 1.5; // of a face's width from one frame to the next; more is part of it, or something else
const NEWEST = 0.2; // share of the newest step in a face's motion
// What a face that keeps still seems to move, turn and swell by, from look to look:
const STILL_MOVE = 0.01; // side of the square that is looked into = 1
const STILL_GROWTH = 0.02;
const STILL_TURN = 0.02; // radians

/** A face with its number, where it was last seen, how it moved there, and for how many frames it has not been seen. */
export class Track {
  missed = 0;
  square: Square; // that is looked into next
  private motion: Point = [0, 0]; // of its centre, in pixels a frame

  constructor(
    readonly number: number,
    public face: Detection,
  ) {
    this.square = around(face, tilt(face));
  }

  /** Seen again, `missed` + 1 frames after the last time. */
  see(face: Detection): void {
    const [now, before] = [centre(face), centre(this.face)];
    const blend = (axis: 0 | 1) =>
      (1 - NEWEST) * this.motion[axis] + (NEWEST * (now[axis] - before[axis])) / (this.missed + 1);
    this.motion = [blend(0), blend(1)];
    this.face = face;
    this.missed = 0;
    this.square = steady(this.square, around(face, tilt(face)));
  }

  /** From a face to where this one was, or where it would be had it moved on, mean width = 1. */
  distance(face: Detection): number {
    const [x, y] = centre(face);
    const [lastX, lastY] = centre(this.face);
    const still = Math.hypot(x - lastX, y - lastY);
    const moved = Math.hypot(x - lastX - this.motion[0] * this.missed, y - lastY - this.motion[1] * this.missed);
    return Math.min(still, moved) / Math.max((this.face.box[2] + face.box[2]) / 2, 1e-9);
  }
}

/**
 * How faces are found: frames between searches, least width in pixels; a new face, or one that was out of sight, needs the
 * probability `least`, one that is followed `leastFollowed`.
 */
export interface Finding {
  readonly searchEvery: number;
  readonly smallest: number;
  readonly least: number;
  readonly leastFollowed: number;
}

/** Follows the faces of one video: a look of BlazeFace around each known face, and a search every `searchEvery` frames. */
export class FaceTracker {
  private tracks: Track[] = [];
  private nextNumber = 0;
  private frame = 0;

  constructor(
    private readonly detector: FaceDetector,
    private readonly finding: Finding,
  ) {}

  /** The faces seen in the next frame, by number. */
  async update(image: Pixels): Promise<Track[]> {
    await this.follow(image);
    const lost = this.tracks.some((track) => track.missed === 1);
    const { searchEvery, smallest, least } = this.finding;
    if (this.frame % searchEvery === 0 || lost) {
      this.add(await findFaces(this.detector, image, smallest, least));
    } else if (!this.seen().length) {
      this.add(await findFaces(this.detector, image, Math.max(image.width, image.height) / WIDEST, least));
    }
    this.frame++;
    this.tracks = this.tracks.filter((track) => track.missed <= HOLD);
    return this.seen();
  }

  /** Of the faces that are known, in sight or not. */
  numbers(): Set<number> {
    return new Set(this.tracks.map((track) => track.number));
  }

  private seen(): Track[] {
    return this.tracks.filter((track) => track.missed === 0);
  }

  /** Look for every face where it was; of several claims to a face the nearest holds, the others are out of sight. */
  private async follow(image: Pixels): Promise<void> {
    const claims: { track: Track; face: Detection; lost: number; away: number }[] = [];
    for (const track of this.tracks) {
      const lost = Number(track.missed > 0);
      for (const face of await this.claims(track, image)) claims.push({ track, face, lost, away: track.distance(face) });
    }
    claims.sort((one, other) => one.lost - other.lost || one.away - other.away);
    const free = new Set(this.tracks);
    const taken: Detection[] = [];
    for (const { track, face } of claims) {
      if (!free.has(track) || taken.some((other) => isSame(face, other))) continue;
      track.see(face);
      free.delete(track);
      taken.push(face);
    }
    for (const track of free) track.missed++;
  }

  /** Faces around the last place of this one that may be it. */
  private async claims(track: Track, image: Pixels): Promise<Detection[]> {
    const found = await look(this.detector, image, track.square);
    const least = track.missed ? this.finding.least : this.finding.leastFollowed;
    return found.filter(
      (face) => face.score >= least && isAlike(face, track.face) && commonShare(face.box, track.face.box) > 0,
    );
  }

  /** Take up found faces: those that are followed already are known, others are lost ones again, or new. */
  private add(faces: Detection[]): void {
    for (const face of faces) {
      if (this.seen().some((track) => isSame(face, track.face))) continue;
      const lost = this.tracks.filter((track) => track.missed > 0);
      const nearest = lost.sort((one, other) => one.distance(face) - other.distance(face))[0];
      if (nearest && nearest.distance(face) <= NEAR) nearest.see(face);
      else this.tracks.push(new Track(this.nextNumber++, face));
    }
  }
}

/** Whether a face may have changed its size like this from one frame to the next. */
function isAlike(one: Detection, other: Detection): boolean {
  const ratio = one.box[2] / Math.max(other.box[2], 1e-9);
  return ratio >= 1 / SWELLING && ratio <= SWELLING;
}

/** The old square while the new one is nearly the same, so that a face that keeps still is seen the same way again. */
export function steady(old: Square, next: Square): Square {
  const moved = Math.hypot(next.x - old.x, next.y - old.y) / old.side;
  const turned = Math.abs(Math.atan2(Math.sin(next.angle - old.angle), Math.cos(next.angle - old.angle)));
  const grown = Math.abs(next.side / old.side - 1);
  return moved < STILL_MOVE && grown < STILL_GROWTH && turned < STILL_TURN ? old : next;
}
