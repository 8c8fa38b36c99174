// Long sums in parts. A kernel that adds up (or compares) many terms for each of its results makes parts of them,
// [parts, results], each of a range of the terms, and the parts are then added up (or compared) in turn. So no thread works
// for too long, few results with many terms keep many threads busy, and no running sum grows far beyond its terms.

import { type Launch, loop, WORKGROUP } from './kernel.ts';

/** A launch that fills `parts` parts of `elements` results each. With one part it fills the results themselves. */
export interface PartsLaunch {
  readonly launch: Launch;
  readonly parts: number;
  readonly elements: number;
}

/** Terms of a long sum that are added up by themselves first: BLOCK in the kernels. */
export const BLOCK = 256;
/** Iterations of a loop over `n` terms in such blocks, `step` terms at once. */
export const blocks = (n: number, step = 1): number => loop(Math.ceil(n / BLOCK), loop(BLOCK / step));

/** Iterations of a workgroup that goes through n terms together and then joins what its threads found. */
export const groupLoop = (n: number): number => loop(Math.ceil(n / WORKGROUP)) + loop(Math.log2(WORKGROUP));
/** The same, through terms in blocks. */
export const groupBlocks = (n: number): number =>
  loop(Math.ceil(n / (BLOCK * WORKGROUP)), loop(BLOCK)) + loop(Math.log2(WORKGROUP));

/** Results fewer than this are made in parts, so that a device has work for all its threads. */
const ENOUGH_THREADS = 1024;
/** No part is shorter than this only for that: a second launch must save more than it costs. */
const SHORTEST_PART = 256;
/** No part is longer than this. */
const LONGEST_PART = 16_384;

/** How the `terms` of each result are cut: `parts` ranges of `chunk`, the last one of what remains. */
export interface Parts {
  readonly parts: number;
  readonly chunk: number;
}

function cut(terms: number, wanted: number): Parts {
  const chunk = Math.max(1, Math.ceil(terms / Math.max(1, wanted)));
  return { chunk, parts: Math.max(1, Math.ceil(terms / chunk)) };
}

/** Parts none of which is too long. */
export const shortParts = (terms: number, longest = LONGEST_PART): Parts =>
  cut(terms, Math.ceil(terms / longest));

/** The same, and enough of them to keep a device busy: `enough` parts of results together, none of them too short. */
export function manyParts(
  results: number,
  terms: number,
  enough = ENOUGH_THREADS,
  shortest = SHORTEST_PART,
): Parts {
  const busy = Math.min(Math.ceil(enough / Math.max(1, results)), Math.floor(terms / shortest));
  return cut(terms, Math.max(busy, Math.ceil(terms / LONGEST_PART)));
}

/** Rows and columns of a window's terms that are one part. */
const TILE = 128;

/** How a window of `rows` x `columns` terms is cut: `parts` tiles, `across` of them side by side. */
export interface WindowParts {
  readonly parts: number;
  readonly across: number;
  readonly tile: number;
  readonly iterations: number;
}

export function windowParts(rows: number, columns: number): WindowParts {
  const [down, across] = [rows, columns].map((n) => Math.max(1, Math.ceil(n / TILE))) as [number, number];
  const iterations = loop(Math.min(rows, TILE), loop(Math.min(columns, TILE)));
  return { parts: down * across, across, tile: TILE, iterations };
}
