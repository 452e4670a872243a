/** Files of this page, compared with the checksums they should have. */

import { UserError } from "./failure";

/** The content of a file of this page. */
export async function download(address: string): Promise<Uint8Array> {
  const name = fileName(address);
  let response: Response;
  try {
    response = await fetch(address);
  } catch {
    throw new UserError(`${name} could not be loaded: is the server of this page still running?`);
  }
  if (!response.ok) throw new UserError(`${name} could not be loaded: the server says ${response.status}. Build the page again.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The same, after comparing it with its checksum. */
export async function downloadVouched(address: string, sha256: string): Promise<Uint8Array> {
  const content = await download(address);
  if ((await hexSha256(content)) !== sha256) {
    throw new UserError(`${fileName(address)} is not the file that its sidecar describes (another sha256): damaged, or from another model. Copy the whole folder again and build the page again.`);
  }
  return content;
}

/** The SHA-256 of some bytes in hexadecimal. */
export async function hexSha256(content: Uint8Array): Promise<string> {
  if (!globalThis.crypto?.subtle) {
    throw new UserError("Browsers let a page check files and use cameras over https:// or on http://localhost only. Open this page there.");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content as BufferSource));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fileName(address: string): string {
  return address.slice(address.lastIndexOf("/") + 1);
}
