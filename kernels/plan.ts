// A variant of an operation as data: the launches that compute it, and the buffers between them.

import type { Epilogue, Launch } from './kernel.ts';

/** One launch: the buffers it reads, in the order of its bindings, and the one it fills. */
export interface Step {
  readonly launch: Launch;
  /** Buffers of the caller, or those that earlier steps filled, by name. */
  readonly reads: readonly string[];
  /** A buffer of the caller, or a new one of `elements`, which lives until the last step that reads it. */
  readonly writes: string;
  /** Size of the buffer written. */
  readonly elements: number;
  /** Whether what it makes of the one buffer it reads, most often weights, is kept for as long as that buffer is. */
  readonly kept?: boolean;
}

/** Steps in order. */
export type Plan = readonly Step[];

/** What an epilogue reads: buffers `bias` and `summand`. A kernel that adds neither binds another buffer in their place. */
export const addends = ({ bias, summand }: Epilogue, other: string): readonly string[] => [
  bias === false ? other : 'bias',
  summand ? 'summand' : other,
];
