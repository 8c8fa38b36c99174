// What passes between the main thread of the fuzzer and the thread that runs a reader.

/** Bytes of the largest file that is tried. */
export const LARGEST = 1 << 16;

/** Places in a job's `progress`. */
export const [BEGUN, LENGTH] = [0, 1];

export interface Job {
  /** The instrumented readers. */
  readonly bundle: string;
  readonly name: string;
  readonly kept: readonly Uint8Array[];
  readonly seed: number;
  /** The file at hand. */
  readonly shared: SharedArrayBuffer;
  /** Of the file at hand, which one it is (BEGUN), counted from 1, and its length (LENGTH). */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

export type Told =
  /** A file that has reached what none before has, and how many counters have been reached so far. */
  | { readonly what: 'kept'; readonly bytes: Uint8Array; readonly counters: number }
  | { readonly what: 'finding'; readonly bytes: Uint8Array; readonly why: string };
