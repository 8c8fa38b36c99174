// What is published under a network's name, under Node: kept in the cache folder, as `limelight/hub` keeps it. Import it as
// `#hub`.

import { readFile } from 'node:fs/promises';
import { cachedFile } from './cache.node.ts';
import type { RemoteFile } from './remote-file.ts';

/** A published file's bytes, fetched unless they are there. Throws HubError where they cannot be had or are wrong. */
export const publishedBytes = async (remote: RemoteFile): Promise<Uint8Array> =>
  readFile(await cachedFile(remote));
