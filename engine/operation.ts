// What an operation is, and how one is applied: shape checked, kernels launched, and recorded on the tape when a
// derivative is being taken.

import type { Device } from './device.ts';
import { MemoryBudgetError, ShapeError } from './errors.ts';
import { type Passing, passOn } from './facts.ts';
import { megabytes } from './memory.ts';
import { type Applied, createNode } from './tape.ts';
import { alias, checkDevices, empty, type Shape, show, type Tensor, unowned } from './tensor.ts';

/** What an operation's derivative rule is given. */
export interface VjpContext<Attributes> extends Applied<Tensor> {
  readonly attributes: Attributes;
}

/** One row of the engine's table of operations. */
export interface Operation<Attributes> extends Passing<Attributes> {
  readonly name: string;
  /** Result shape, or a ShapeError naming the operation and the shapes. */
  readonly shape: (inputs: readonly Tensor[], attributes: Attributes) => Shape;
  /** For operations that give u32 indices rather than f32 numbers: a number that is larger than each of them. */
  readonly below?: (inputs: readonly Tensor[], attributes: Attributes) => number;
  /** The input that holds u32 indices, where there is one, and how many things they choose from; all others hold f32. */
  readonly indices?: {
    readonly input: number;
    readonly of: (inputs: readonly Tensor[], attributes: Attributes) => number;
  };
  /** Launches the kernels that fill `output`. Left out when the result is always a view, of the first input if no other. */
  readonly forward?: (inputs: readonly Tensor[], output: Tensor, attributes: Attributes) => void;
  /** The result, if it lies in memory already. */
  readonly view?: (inputs: readonly Tensor[], shape: Shape, attributes: Attributes) => Tensor | undefined;
  /** Cotangents of the inputs from that of the output. Left out where the derivative is zero everywhere. */
  readonly vjp?: (cotangent: Tensor, context: VjpContext<Attributes>) => readonly (Tensor | undefined)[];
}

/** How many derivatives are being taken around the current call; operations are recorded only inside one. */
let depth = 0;

/** Whether operations are recorded at present. */
export const isRecording = (): boolean => depth > 0;

/** Whether what is made of `inputs` now is recorded; if not, an operation may take a way that has no derivative. */
export const isRecorded = (inputs: readonly Tensor[]): boolean =>
  depth > 0 && inputs.some((input) => input.node);

/** Runs `f` with recording on. */
export function recording<T>(f: () => T): T {
  depth++;
  try {
    return f();
  } finally {
    depth--;
  }
}

/**
 * Refuses numbers where indices belong, and the other way round, and indices that may lie outside. Kernels take bits as they
 * are and reads outside a buffer give something, so either would be a wrong number without an error.
 */
function checkTypes<A>({ name, indices }: Operation<A>, inputs: readonly Tensor[], attributes: A): void {
  inputs.forEach((input, i) => {
    const expected = i === indices?.input ? 'u32' : 'f32';
    if (input.type === expected) return;
    throw new ShapeError(
      `${name}: input ${i} of shape ${show(input.shape)} holds ${input.type}; ${expected} is needed`,
    );
  });
  if (indices === undefined) return;
  const { below = 0 } = inputs[indices.input]!.storage;
  const count = indices.of(inputs, attributes);
  if (below > count) {
    throw new ShapeError(`${name}: an index may be ${below - 1}, and there are ${count} to choose from`);
  }
}

/** Refuses inputs that are larger than what a kernel sees of a buffer. Results never are: it was uploaded so. */
function checkSizes(name: string, inputs: readonly Tensor[]): void {
  const { binding } = inputs[0]!.device.profile.limits;
  const at = inputs.findIndex(({ storage }) => storage.size > binding);
  if (at < 0) return;
  const { shape, storage } = inputs[at]!;
  throw new MemoryBudgetError(
    `${name}: input ${at} of shape ${show(shape)}, a weight and not the batch, takes ${megabytes(storage.size)}, and ` +
      `this device binds ${megabytes(binding)} at once; only linear() takes such a weight, a part of its rows at a ` +
      'time. Use a network with fewer weights in this layer, or another adapter (LIMELIGHT_DEVICE)',
  );
}

/** A tensor of a shape in which a result is to be written; undefined for a new one. */
export type Place = (device: Device, shape: Shape) => Tensor | undefined;

/** An operation's result: some of its first input where that lies, or what its kernels fill. */
function resultOf<A>(
  operation: Operation<A>,
  inputs: readonly Tensor[],
  shape: Shape,
  attributes: A,
  place: Place | undefined,
): Tensor {
  const view = operation.view?.(inputs, shape, attributes);
  if (view !== undefined) return view;
  const [first] = inputs as readonly [Tensor];
  if (operation.forward === undefined) return alias(first, shape);
  const below = operation.below?.(inputs, attributes);
  const type = below === undefined ? 'f32' : 'u32';
  const output = place?.(first.device, shape) ?? empty(first.device, shape, type, operation.name);
  if (below !== undefined) output.storage.below = below;
  try {
    operation.forward(inputs, output, attributes);
  } catch (error) {
    output.dispose();
    throw error;
  }
  return output;
}

/**
 * Applies an operation, and records it if a derivative is being taken with respect to something it depends on. The result
 * is written to `place`, where that is given.
 */
export function apply<A>(
  operation: Operation<A>,
  inputs: readonly Tensor[],
  attributes: A,
  place?: Place,
): Tensor {
  checkDevices(operation.name, inputs);
  const shape = operation.shape(inputs, attributes);
  if (operation.forward !== undefined) {
    checkTypes(operation, inputs, attributes);
    checkSizes(operation.name, inputs);
  }
  const { name, vjp } = operation;
  if (inputs[0]!.device.commands === undefined) {
    const output = resultOf(operation, inputs, shape, attributes, place);
    passOn(operation, inputs, output, attributes);
    return output;
  }
  if (vjp === undefined || !isRecorded(inputs)) return resultOf(operation, inputs, shape, attributes, place);
  const result = unowned(() => resultOf(operation, inputs, shape, attributes, place));
  const kept = inputs.map((input) => unowned(() => alias(input, input.shape, input.node)));
  const node = createNode({ name, rule: (d: Tensor, applied) => vjp(d, { ...applied, attributes }) }, kept);
  node.result = result;
  return alias(result, shape, node);
}
