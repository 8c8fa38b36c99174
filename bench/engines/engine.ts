// What an engine must offer to be measured. One file beside this one for each engine.

import type { Problem } from '../problems.ts';
import type { Peaks } from '../roofline.ts';

export interface Engine {
  /** The adapter, or the processor, that it runs on. */
  readonly adapter: string;
  readonly version: string;
  /** Names of further ways in which it can compute a problem, after the one that its users call. */
  readonly variants?: (problem: Problem) => readonly string[];
  /** Puts a problem's inputs where the engine keeps them. Throws `Unsupported` for what it cannot compute. */
  readonly prepare: (problem: Problem, variant?: string) => Promise<Prepared>;
  /** The adapter's peaks, for the roofline. */
  readonly peaks?: () => Promise<Peaks>;
}

export interface Prepared {
  /**
   * Computes the problem `times` times, allocating each result, and waits until the last result is on the host, whole.
   * Results in the order of NCHW.
   */
  readonly run: (times: number) => Promise<ArrayLike<number>>;
  /** Turns what `run` gives into the order of NCHW, where the engine has another; not timed. */
  readonly ordered?: (result: ArrayLike<number>) => ArrayLike<number>;
  readonly dispose: () => void;
}

/** The engine has no such operation. */
export class Unsupported extends Error {
  constructor(what: string) {
    super(`${what} is not supported`);
  }
}
