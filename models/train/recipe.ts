// What a recipe is: a graph, the data that it learns from, and how.

import type { Tensor } from '../../engine/index.ts';
import type { HostTensor, StateDict } from '../formats/host-tensor.ts';
import type { Graph } from '../graph.ts';
import type { Random } from './data/random.ts';
import type { Update } from './optimiser.ts';

/** What goes into the graph, by the names of its inputs, and what its output is compared with; each [N, ...] as a rule. */
export interface Batch {
  readonly inputs: Readonly<Record<string, HostTensor>>;
  readonly targets: Readonly<Record<string, HostTensor>>;
}

/** Counts what a network gets right, batch by batch. */
export interface Scorer {
  readonly add: (output: Float32Array, batch: Batch) => void;
  readonly result: () => Record<string, number>;
}

/** A layer's value on the way to the output, and the output as a function of it. */
export interface Explained {
  readonly value: Tensor;
  readonly logitsOf: (value: Tensor) => Tensor;
}

export interface Recipe {
  readonly graph: Graph;
  /** The layer whose evidence the loss judges; the output itself when left out. */
  readonly explained?: string;
  /** Parameters that stay as they are. */
  readonly frozen?: StateDict;
  /** Those of the shipped weights, some of which came to them in several runs, as their cards say. */
  readonly epochs: number;
  readonly batch: number;
  readonly seed: number;
  /** Peak learning rate. */
  readonly rate: number;
  readonly update: Update;
  readonly trainCount: number;
  readonly testCount: number;
  /** A number, of the graph's output, the targets on the device, the epoch from 0, and the layer that is explained. */
  readonly loss: (
    output: Tensor,
    targets: Readonly<Record<string, Tensor>>,
    epoch: number,
    explained: Explained,
  ) => Tensor;
  readonly trainBatch: (indices: Uint32Array, next: Random) => Batch | Promise<Batch>;
  readonly testBatch: (start: number, count: number) => Batch | Promise<Batch>;
  readonly scorer: () => Scorer;
}
