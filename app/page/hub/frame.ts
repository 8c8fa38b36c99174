// Fetches what belongs to the published network that the fragment of the frame's address names, and hands it to the page
// around it: how far it is, then the files, or what went wrong.

import { messageOf } from '../../../engine/platform/errors.ts';
import { HubError, type RemoteFile } from '../../../models/hub/remote-file.ts';
import { remoteFiles } from './remote.ts';

/** What the frame tells the page. */
export type Told =
  | { readonly share: number }
  | { readonly files: readonly File[] }
  | { readonly problem: string };

const tell = (told: Told) => parent.postMessage(told, location.origin);

/** A file with the checksum that it should have, or else a HubError; `arrived` is told of bytes as they come. */
async function fetched({ name, url, bytes, sha256 }: RemoteFile, arrived: (bytes: number) => void) {
  const { host } = new URL(url);
  const asked = fetch(url, { credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' });
  const response = await asked.catch(() => {
    throw new HubError(`${host} cannot be reached: is there a network, and does it let ${host} through?`);
  });
  if (!response.ok)
    throw new HubError(`${url}: the server answered ${response.status} ${response.statusText}`);
  let received = 0;
  const counted = response.body!.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, rest) {
        received += chunk.length;
        if (received > 1.1 * bytes)
          throw new HubError(`${url} has more than the ${bytes} bytes that are expected: it is not the file`);
        arrived(chunk.length);
        rest.enqueue(chunk);
      },
    }),
  );
  const whole = await new Response(counted).arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
  const found = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (found !== sha256)
    throw new HubError(
      `${url} gave a file with the SHA-256 ${found}, where ${sha256} is expected: it was damaged on its way, or replaced, and is not kept`,
    );
  return new File([whole], name);
}

async function fetchAll(remote: readonly RemoteFile[]): Promise<readonly File[]> {
  const total = remote.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const files: File[] = [];
  for (const one of remote)
    files.push(
      await fetched(one, (bytes) => {
        done += bytes;
        tell({ share: Math.min(1, done / total) });
      }),
    );
  return files;
}

fetchAll(remoteFiles(location.hash.slice(1))).then(
  (files) => tell({ files }),
  (error: unknown) => tell({ problem: messageOf(error) }),
);
