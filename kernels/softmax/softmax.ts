// Launch of softmax along one axis of [outer, n, inner].

import { type Launch, launch } from '../kernel.ts';

/** Softmax, or log-softmax, along the middle axis. */
export function softmax(outer: number, n: number, inner: number, log: boolean): Launch {
  return launch('softmax', outer * inner, [outer * inner, n, inner], { LOG: Number(log) });
}
