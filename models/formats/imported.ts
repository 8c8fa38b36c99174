// What every reader of a file that carries its own graph gives: ONNX, Keras, TensorFlow.js.

import type { Shape } from '../../engine/index.ts';
import { messageOf } from '../../engine/platform/errors.ts';
import type { Detection } from '../detection.ts';
import type { Graph, GraphNode } from '../graph.ts';
import type { Preprocessing } from '../preprocess.ts';
import type { Segmentation } from '../segmentation.ts';
import { FormatError } from './errors.ts';
import type { StateDict } from './host-tensor.ts';

/** A network as a file describes it. */
export interface ImportedNetwork {
  /** `output` gives the logits; the file's outputs, a softmax behind them included, are its `outputs`. */
  readonly graph: Graph;
  /** Every parameter that the graph names, NCHW layouts. */
  readonly tensors: StateDict;
  /** The picture's [N, C, H, W], with N = 1; H and W as examples where `anySize` is set. */
  readonly inputShape: readonly number[];
  /** Shapes of further inputs, by the names of `graph.inputs`. */
  readonly otherInputs: ReadonlyMap<string, Shape>;
  readonly anySize: boolean;
  /** How many numbers a row of logits has. */
  readonly classCount: number;
  /** What stood behind the logits in the file's graph; softmax where nothing did, and none for a single number. */
  readonly probabilities: 'softmax' | 'sigmoid' | 'none';
  /** What the file itself says about its input's pixels; usually nothing. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** Class names, where the file has them. */
  readonly classes?: readonly string[];
  /** Set of detectors. */
  readonly detection?: Detection;
  /** Set of networks that score classes at each place. */
  readonly segmentation?: Segmentation;
  /** What people should know of how the file was understood. */
  readonly remark?: string;
}

/** What may be asked of a reader. */
export interface ReadOptions {
  /** The picture's size where the file leaves it open and cannot be read for any. */
  readonly size?: readonly [height: number, width: number] | undefined;
  /** The output that is explained, by its name in the file. */
  readonly output?: string | undefined;
}

/** What an importer makes of a file before it is made a network of (`finish`). */
export interface Translated {
  readonly nodes: readonly GraphNode[];
  readonly tensors: StateDict;
  /** Shapes of everything that goes in, by name; the picture's first, [1, C, H, W]. */
  readonly inputs: ReadonlyMap<string, Shape>;
  readonly outputs: readonly NamedOutput[];
  /** Class names, where the file has them; they count if they are as many as the scores. */
  readonly classes?: readonly string[] | undefined;
  /** Whether the file says that its pixels are whole numbers from 0 to 255. */
  readonly takesBytes?: boolean;
}

export interface NamedOutput {
  readonly name: string;
  /** The node that gives it; undefined where it does not depend on the input. */
  readonly node: string | undefined;
  /** Whether it gives whole numbers, such as a label. */
  readonly isWhole?: boolean;
  /** Of an output that is a choice, or made of one: the nodes of the values that are chosen among, and why it is not read. */
  readonly chosen?: { readonly among: readonly string[]; readonly reason: FormatError };
}

/** A file of which only what is wanted is read; browsers' `File` and `Blob` are such. */
export interface Part {
  /** In bytes. */
  readonly size: number;
  /** What lies from the byte `start` up to, and without, the byte `end`. */
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/**
 * Opens a part of a network that lies beside its main file: external data, weight shards. Names come from the main
 * file and are not to be trusted: an opener refuses what leads outside the main file's folder.
 */
export type OpenPart = (name: string) => Promise<Uint8Array | Part>;

/** The bytes of a part from `start` up to, and without, `end`. Throws FormatError where they cannot be read. */
export async function readPart(
  part: Uint8Array | Part,
  name: string,
  start: number,
  end: number,
): Promise<Uint8Array> {
  if (part instanceof Uint8Array) return part.subarray(start, end);
  try {
    return new Uint8Array(await part.slice(start, end).arrayBuffer());
  } catch (cause) {
    throw new FormatError(`cannot read bytes ${start} to ${end} of ${name}: ${messageOf(cause)}`, { cause });
  }
}

export const sizeOfPart = (part: Uint8Array | Part): number =>
  part instanceof Uint8Array ? part.length : part.size;
