// What every reader of a file that carries its own graph gives: ONNX, Keras, TensorFlow.js.

import type { Graph } from '../graph.ts';
import type { Preprocessing } from '../preprocess.ts';
import type { StateDict } from './host-tensor.ts';

/** A network as a file describes it. */
export interface ImportedNetwork {
  /** Ends at the logits: a final softmax or sigmoid is left off and named by `probabilities`. */
  readonly graph: Graph;
  /** Every parameter that the graph names, NCHW layouts. */
  readonly tensors: StateDict;
  /** [N, C, H, W], with N = 1; H and W as examples where `anySize` is set. */
  readonly inputShape: readonly number[];
  readonly anySize: boolean;
  /** What stood at the end of the file's graph; softmax where nothing did. */
  readonly probabilities: 'softmax' | 'sigmoid';
  /** What the file itself says about its input's pixels; usually nothing. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** Class names, where the file has them. */
  readonly classes?: readonly string[];
}

/**
 * Opens a part of a network that lies beside its main file: external data, weight shards. Names come from the main
 * file and are not to be trusted: an opener refuses what leads outside the main file's folder.
 */
export type OpenPart = (name: string) => Promise<Uint8Array>;
