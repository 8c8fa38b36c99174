// What a published network consists of: its weights, and its vocabulary or the names of its classes.

import { imagenetLabels, published } from '../../../models/hub/published.ts';
import type { RemoteFile } from '../../../models/hub/remote-file.ts';

/** The files of a published network, its weights first. */
export function remoteFiles(name: string): readonly RemoteFile[] {
  const { weights, tokenizer } = published.get(name)!;
  return [weights, tokenizer ?? imagenetLabels];
}
