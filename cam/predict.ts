// What goes into a network and what it says of it: its inputs by name, and numbers for each class.

import { largest } from '../engine/extremes.ts';
import { LimelightError, Tensor } from '../engine/index.ts';
import { assertOutsideScopes } from '../engine/tensor.ts';
import { INPUT } from '../models/graph.ts';
import type { Network } from '../models/network.ts';
import { run } from '../models/run.ts';
import { LayerError, NotFiniteError } from './errors.ts';
import { numbersOfNew } from './numbers.ts';

/** What a network makes of a class. */
export interface Prediction {
  readonly index: number;
  readonly name: string;
  readonly logit: number;
  /** null where the network gives values, not probabilities. */
  readonly probability: number | null;
}

/**
 * The inputs by name, of which the picture, `input`, may stand alone.
 *
 * @throws {LimelightError} where they are not those that the network takes.
 * @throws {LayerError} where the picture is several.
 */
export function inputsOf({ graph, name }: Network, input: Tensor | Readonly<Record<string, Tensor>>) {
  const given = new Map(input instanceof Tensor ? [[INPUT, input]] : Object.entries(input));
  const wanted = graph.inputs ?? [INPUT];
  const wrong =
    [...given.keys()].find((key) => !wanted.includes(key)) ?? wanted.find((key) => !given.has(key));
  if (wrong !== undefined) {
    const what = given.has(wrong) ? 'is none of them' : 'is missing';
    throw new LimelightError(`observe: the inputs of ${name} are ${wanted.join(', ')}; "${wrong}" ${what}`);
  }
  const { shape } = given.get(INPUT)!;
  if (shape[0] === 1) return given;
  throw new LayerError(`observe: the input holds ${shape[0]} images; observe one image at a time`);
}

/**
 * What a network makes of one picture [1, C, H, W]: the numbers of each class, in the order of classes. What it needs is
 * the forward pass alone; a trace has the same, and more.
 *
 * @throws {NotFiniteError} where a logit is NaN or infinite.
 */
export async function predict(
  network: Network,
  input: Tensor | Readonly<Record<string, Tensor>>,
): Promise<Prediction[]> {
  assertOutsideScopes('predict');
  const inputs = inputsOf(network, input);
  const { output } = network.graph;
  const [logits] = (await numbersOfNew(() => [...run(network, inputs, [output]).values()])) as [Float32Array];
  const lost = logits.filter((value) => !Number.isFinite(value)).length;
  if (lost === 0) return predictionsOf(network, logits);
  throw new NotFiniteError(
    `predict: ${lost} of ${logits.length} logits are NaN or infinite; check the input, its preprocessing and the weights`,
  );
}

/** Each class's numbers, from logits that were read. */
export function predictionsOf({ classes, probabilities }: Network, logits: Float32Array): Prediction[] {
  const most = largest(logits);
  const total = logits.reduce((sum, z) => sum + Math.exp(z - most), 0);
  const probabilityOf = {
    softmax: (z: number) => Math.exp(z - most) / total,
    sigmoid: (z: number) => 1 / (1 + Math.exp(-z)),
    none: () => null,
  }[probabilities];
  return Array.from(logits, (logit, index) => ({
    index,
    name: classes[index] ?? String(index),
    logit,
    probability: probabilityOf(logit),
  }));
}
