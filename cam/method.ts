// What a method is: data, and a function from a traced layer and a target to the tensors of its formula.

import { MemoryBudgetError, type Steps, scope, Tensor } from '../engine/index.ts';
import type { DryRun } from '../models/dry-run.ts';
import type { Graph, Runnable } from '../models/graph.ts';
import type { Target } from './target.ts';
import type { Trace, TracedLayer } from './trace.ts';

/** What is explained. */
export interface MethodContext {
  /** S. */
  readonly target: Target;
  /** The class, whose probability Score-CAM takes whatever the target is. */
  readonly classIndex: number;
  /** The one that the method asked for. */
  readonly decoder?: Runnable;
  /** Called as the work goes on, with the share done, 0 to 1. */
  readonly progress?: (share: number) => void;
}

/** A symbol of a formula. */
export interface Term {
  /** Its definition. */
  readonly tex: string;
  /** Where the paper has it. */
  readonly equation: string;
  /** In words, with its shape. */
  readonly is: string;
  /** What a user should know of its numbers, if anything. */
  readonly note?: (values: Float32Array, trace: Trace) => string | undefined;
}

/** Tensors by their symbols: `M` is the map [h, w] before ReLU; `w_k`, where a method has weights, has one a channel [K]. */
export interface Terms<Value> {
  readonly M: Value;
  readonly [symbol: string]: Value;
}

/** A CAM method: its name and paper, what its symbols are, and how they are computed. */
export interface Method {
  readonly name: string;
  /** Name as printed. */
  readonly title: string;
  /** Author and year. */
  readonly paper: string;
  /** Whether its paper cuts the map off at zero. */
  readonly relu: boolean;
  /** The layer at which it is best taken, unless another is named; the network's target layer where undefined. */
  readonly layerOf?: (dry: DryRun) => string | undefined;
  /** What each symbol is; `explain` gives a tensor for each. */
  readonly terms: Terms<Term>;
  /** Nodes whose values `explain` will ask the trace for, so that the forward pass keeps them. */
  readonly keeps?: (graph: Graph, layer: string) => readonly string[];
  /** The decoder that it runs on the network's values, by the name under which one is shipped for the network. */
  readonly decoder?: string;
  /**
   * Whether it takes several pictures at once, feature maps [N, K, h, w]: each tensor that it gives then has those of all
   * pictures, one after another along its first axis.
   */
  readonly batches?: boolean;
  /** At once or, where it must read numbers on its way or takes long, in steps. */
  readonly explain: (seen: TracedLayer, context: MethodContext) => Terms<Tensor> | Steps<Terms<Tensor>>;
}

/** What a method finds, in steps whether it takes some or none. */
export function* stepsOf(
  { explain }: Method,
  seen: TracedLayer,
  context: MethodContext,
): Steps<Terms<Tensor>> {
  const found = explain(seen, context);
  return isSteps(found) ? yield* found : found;
}

/** Whether a method explains in steps. */
export const isSteps = (found: Terms<Tensor> | Steps<Terms<Tensor>>): found is Steps<Terms<Tensor>> =>
  Symbol.iterator in found;

/** Versions of a feature map or an input that are evaluated at once, where memory allows: this many or more. */
const CHUNK = 64;
/** Small versions go together as far as their elements are no more than these. */
const CHUNK_ELEMENTS = 2 ** 22;

/**
 * `body` over 0 .. total in chunks of about the same size, each in a scope; results in order. A version has `elements`
 * elements. A chunk that exceeds what the device or the budget allows is tried again at half its size, down to one. Between
 * two chunks it waits for the first tensor of the results.
 */
export function* chunksInSteps<T extends Tensor | readonly Tensor[]>(
  total: number,
  elements: number,
  progress: MethodContext['progress'],
  body: (start: number, count: number) => T,
): Steps<T[]> {
  const results: T[] = [];
  const largest = Math.max(CHUNK, Math.floor(CHUNK_ELEMENTS / elements));
  let chunk = Math.ceil(total / Math.ceil(total / largest));
  for (let start = 0; start < total; ) {
    const count = Math.min(chunk, total - start);
    let result: T;
    try {
      result = scope(() => body(start, count));
    } catch (error) {
      if (!(error instanceof MemoryBudgetError) || count === 1) throw error;
      chunk = Math.ceil(count / 2);
      continue;
    }
    results.push(result);
    start += count;
    progress?.(start / total);
    if (start < total) yield [result instanceof Tensor ? result : result[0]!];
  }
  return results;
}

/** The same without waiting. */
export function inChunks<T extends Tensor | readonly Tensor[]>(
  ...work: Parameters<typeof chunksInSteps<T>>
): T[] {
  const steps = chunksInSteps(...work);
  for (;;) {
    const { done, value } = steps.next([]);
    if (done) return value;
  }
}
