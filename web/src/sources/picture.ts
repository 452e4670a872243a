/** A picture file. */

import { UserError } from "../core/failure";
import { FrameReader } from "./canvas";
import type { Frame, Source } from "./source";

const [JPEG_START, JPEG_SCAN, JPEG_END] = [0xd8, 0xda, 0xd9];

/** Opens a picture file; throws UserError if it is none, or a JPEG that ends early. */
export async function openPicture(file: File): Promise<Source> {
  if (endsEarly(new Uint8Array(await file.arrayBuffer()))) {
    throw new UserError(`${file.name}: the JPEG ends early. Copy it again.`);
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new UserError(`${file.name} is no picture that this browser can read: damaged, or of an unknown kind. JPEG, PNG and WebP work everywhere.`);
  }
  let frame: Frame | undefined = new FrameReader().read(bitmap, bitmap.width, bitmap.height, null);
  bitmap.close();
  return {
    title: file.name,
    still: true,
    mirrored: false,
    next: async () => {
      const only = frame;
      frame = undefined;
      return only;
    },
    pause: () => {},
    close: () => {},
  };
}

/** Whether a JPEG has no end after its last scan: browsers fill the rest with grey and say nothing. */
export function endsEarly(content: Uint8Array): boolean {
  if (content[0] !== 0xff || content[1] !== JPEG_START) return false;
  const scan = lastMarker(content, JPEG_SCAN);
  return scan < 0 || lastMarker(content, JPEG_END) < scan;
}

function lastMarker(content: Uint8Array, code: number): number {
  for (let at = content.length - 2; at >= 0; at--) {
    if (content[at] === 0xff && content[at + 1] === code) return at;
  }
  return -1;
}
