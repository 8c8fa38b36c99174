// What the measuring process and the process of an engine say to each other: one request, one reply, in turn. They go
// over the channel that Node opens between parent and child, a line of JSON each, so that whatever a library or a
// driver prints stays out of the way.

import type { Peaks } from './roofline.ts';

export interface Requests {
  /** Opens the engine. */
  open: { ask: { engine: string }; answer: { adapter: string; version: string } };
  /** Names of the variants of a case, the default left out. */
  variants: { ask: { case: string }; answer: readonly string[] };
  /** Prepares a case and runs it once: `first` in milliseconds, `check` some of the result's numbers. */
  prepare: { ask: { case: string; variant?: string }; answer: { first: number; check: readonly number[] } };
  /** One sample: milliseconds that `times` runs and reading the last result back took. */
  run: { ask: { case: string; variant?: string; times: number }; answer: number };
  /** Frees what the variants of a case hold. */
  dispose: { ask: { case: string }; answer: null };
  peaks: { ask: Record<string, never>; answer: Peaks };
}

export type RequestName = keyof Requests;

export type Request = { [K in RequestName]: { readonly name: K } & Requests[K]['ask'] }[RequestName];

export type Reply = { readonly answer: Requests[RequestName]['answer'] } | { readonly error: string };
