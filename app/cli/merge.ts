// limelight merge: the parts that several processes measured, put together.

import { assertWritable } from '../image/write.node.ts';
import { tell } from './evaluate.ts';

/** Refuses parts that are of different evaluations, are missing or unfinished, or hold a picture twice. */
export async function mergeCommand(
  parts: readonly string[],
  { out }: { readonly out: string },
): Promise<void> {
  await assertWritable(out);
  await tell(parts, out);
}
