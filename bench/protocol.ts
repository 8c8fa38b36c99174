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

/** How many of a result's numbers are compared between engines. */
const CHECKED = 64;

/** Numbers of a result at even distances, for comparison. */
export function sampleOf(result: ArrayLike<number>): number[] {
  const count = Math.min(CHECKED, result.length);
  return Array.from({ length: count }, (_, i) => result[Math.floor((i * result.length) / count)]!);
}

/** Range below a row's largest logit within which networks are compared: a softmax leaves nothing of what is further. */
const COMPARED_RANGE = 20;

/**
 * Logits [rows, classes] as numbers that are alike whether or not a network's file ends in a softmax: each row less its
 * largest.
 */
export function comparableLogits(result: ArrayLike<number>, rows: number): number[] {
  const classes = result.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const own = Array.from({ length: classes }, (_, i) => result[row * classes + i]!);
    const isSoftmax = Math.abs(own.reduce((sum, x) => sum + x, 0) - 1) < 1e-4 && own.every((x) => x >= 0);
    const logits = isSoftmax ? own.map(Math.log) : own;
    const largest = Math.max(...logits);
    return logits.map((x) => Math.max(x - largest, -COMPARED_RANGE));
  }).flat();
}

/** The largest difference between two samples, relative to the first one's largest magnitude. */
export function difference(expected: readonly number[], found: readonly number[]): number {
  if (expected.length !== found.length) return Number.POSITIVE_INFINITY;
  const size = Math.max(...expected.map(Math.abs), Number.MIN_VALUE);
  const largest = Math.max(...expected.map((x, i) => Math.abs(x - found[i]!)));
  return Number.isNaN(largest) ? Number.POSITIVE_INFINITY : largest / size;
}
