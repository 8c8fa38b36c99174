// Opens the parts of a network that lie beside its main file: external data, weight shards. Their names come from the
// main file, so an opener is confined to that file's folder.

import { open, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { messageOf } from '../../engine/platform/errors.ts';
import { FormatError } from './errors.ts';
import type { OpenPart } from './imported.ts';

/** Absolute, a Windows drive or share, a URL, or a step upwards. Both slashes count: a file may come from anywhere. */
const UNSAFE = /^$|\0|^[/\\]|^[a-z][a-z0-9+.-]*:|(^|[/\\])\.\.([/\\]|$)/i;

/**
 * An opener of the files in `folder`, at any depth. Refuses with a FormatError names that are absolute, are URLs, step
 * upwards, or lead outside by a symbolic link, and what is missing or no regular file.
 */
export function partsIn(folder: string): OpenPart {
  return async (name) => {
    if (UNSAFE.test(name)) {
      throw new FormatError(
        `the network names a part "${name}"; a part must be a relative name in the network's own folder`,
      );
    }
    const root = await realpath(folder).catch((cause: unknown) => {
      throw new FormatError(`cannot look into ${folder} for "${name}": ${messageOf(cause)}`, { cause });
    });
    const path = await realpath(join(root, name)).catch((cause: unknown) => {
      throw new FormatError(
        `the network's part "${name}" is not in ${folder}; it belongs beside the network`,
        {
          cause,
        },
      );
    });
    const inside = relative(root, path);
    if (inside === '..' || inside.startsWith(`..${sep}`) || UNSAFE.test(inside)) {
      throw new FormatError(
        `the network's part "${name}" is a link that leads out of ${folder}; put the file itself there`,
      );
    }
    const stats = await stat(path).catch(() => undefined);
    if (!stats?.isFile()) {
      throw new FormatError(`the network's part "${name}" in ${folder} is not a file`);
    }
    return {
      size: stats.size,
      slice: (start: number, end: number) => ({ arrayBuffer: () => read(path, start, end) }),
    };
  };
}

async function read(path: string, start: number, end: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(end - start);
  const file = await open(path);
  try {
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
      if (bytesRead === 0) throw new Error('the file has become shorter');
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  return bytes.buffer;
}
