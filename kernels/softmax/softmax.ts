// Launch of softmax along one axis of [outer, n, inner].

import { type Launch, launch, WORKGROUP } from '../kernel.ts';

/** Few lines go in small workgroups, so that they spread over the whole device. */
const FEW_LINES = 1024;
const SMALL_WORKGROUP = 8;

/** Softmax, or log-softmax, along the middle axis. */
export function softmax(outer: number, n: number, inner: number, log: boolean): Launch {
  const lines = outer * inner;
  const workgroup = lines < FEW_LINES ? SMALL_WORKGROUP : WORKGROUP;
  const constants = { LOG: Number(log), WORKGROUP: workgroup };
  return launch('softmax', lines, [lines, n, inner], constants, workgroup);
}
