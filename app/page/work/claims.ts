// What must hold on a network, checked in the worker.

import { claims, type Verdict, verify } from '../../../cam/index.ts';
import type { Subject, Work } from './subject.ts';

export const claimTasks = {
  /** Every claim, measured on a subject. */
  async verify(
    { subject, ...at }: { readonly subject: Subject; readonly layer: string; readonly classIndex: number },
    { open, progress }: Work,
  ): Promise<readonly Verdict[]> {
    const { network, trace } = await open(subject);
    return verify(network, trace.picture, { ...at, progress: (_, done) => progress(done / claims.size) });
  },
};
