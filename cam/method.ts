// What a CAM method is: from an observation and a target to a map, usually through one weight a channel.

import { MemoryBudgetError, scope, type Tensor } from '../engine/index.ts';
import type { Observation, Target } from './observe.ts';

/** What a method is given beside the observation. */
export interface MethodContext {
  /** S: what is explained. */
  readonly target: Target;
  /** The class that is explained; CAM and Score-CAM need it by itself. */
  readonly classIndex: number;
  /** Called as the work goes on, with the share done, 0 to 1. */
  readonly progress?: (share: number) => void;
}

export interface MethodResult {
  /** One weight a channel [K]; undefined for a method that has none. */
  readonly weights?: Tensor;
  /** The map at layer resolution [h, w], before ReLU. */
  readonly map: Tensor;
  /** Something a user should know when the count [] is not zero, and how it is said. */
  readonly caveat?: { readonly count: Tensor; readonly say: (count: number) => string };
}

export interface Method {
  readonly name: string;
  /** Name as printed. */
  readonly title: string;
  /** Whether its paper cuts the map off at zero. */
  readonly relu: boolean;
  readonly explain: (observation: Observation, context: MethodContext) => MethodResult;
}

/** Versions of a feature map or an input that are evaluated at once, where memory allows: this many or more. */
const CHUNK = 64;
/** Small versions go together as far as their elements are no more than these. */
const CHUNK_ELEMENTS = 2 ** 22;

/**
 * `body` over 0 .. total in chunks of about the same size, each in a scope of its own; results in order. A version has
 * `elements` elements. A chunk that exceeds what the device
 * or the budget allows is tried again at half its size, down to one.
 */
export function inChunks<T>(
  total: number,
  elements: number,
  progress: MethodContext['progress'],
  body: (start: number, count: number) => T,
): T[] {
  const results: T[] = [];
  const largest = Math.max(CHUNK, Math.floor(CHUNK_ELEMENTS / elements));
  let chunk = Math.ceil(total / Math.ceil(total / largest));
  for (let start = 0; start < total; ) {
    const count = Math.min(chunk, total - start);
    try {
      results.push(scope(() => body(start, count)));
    } catch (error) {
      if (!(error instanceof MemoryBudgetError) || count === 1) throw error;
      chunk = Math.ceil(count / 2);
      continue;
    }
    start += count;
    progress?.(start / total);
  }
  return results;
}
