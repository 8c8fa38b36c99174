// What is published under a network's name, in a browser, which keeps what it fetches as it keeps everything.

import { bytes } from '#platform';
import { LimelightError } from '../../engine/index.ts';
import { HubError, type RemoteFile } from './remote-file.ts';

const hex = (bytes: ArrayBuffer): string =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

export async function publishedBytes({ name, url, sha256 }: RemoteFile): Promise<Uint8Array> {
  const found = await bytes(new URL(url)).catch((cause: unknown) => {
    if (!(cause instanceof LimelightError)) throw cause;
    throw new HubError(cause.message, { cause });
  });
  const sum = hex(await crypto.subtle.digest('SHA-256', found as Uint8Array<ArrayBuffer>));
  if (sha256 === undefined || sum === sha256) return found;
  throw new HubError(`${name} from ${url} has the SHA-256 ${sum}, where ${sha256} is expected`);
}
