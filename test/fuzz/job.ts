// What passes between the main thread of the fuzzer and the thread that runs a reader.

/** Bytes of the largest file that is tried. */
export const LARGEST = 1 << 16;

export interface Job {
  /** The instrumented readers. */
  readonly bundle: string;
  readonly name: string;
  readonly kept: readonly Uint8Array[];
  readonly seed: number;
  /** The file at hand. */
  readonly shared: SharedArrayBuffer;
  /** When it was begun, in milliseconds; its length; runs so far. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

export type Told =
  /** A file that has reached what none before has, and how many counters have been reached so far. */
  | { readonly what: 'kept'; readonly bytes: Uint8Array; readonly counters: number }
  | { readonly what: 'finding'; readonly bytes: Uint8Array; readonly why: string };
