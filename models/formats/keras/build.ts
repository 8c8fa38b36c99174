// A Keras model's calls and weights -> Limelight's graph: one loop over the layer table, each node's shape found on a
// dry device as it is made.

import { largest } from '../../../engine/extremes.ts';
import { dryDevice, LimelightError, type Shape, sizeOf } from '../../../engine/index.ts';
import { type GraphNode, INPUT } from '../../graph.ts';
import { grouped } from '../../grouped.ts';
import * as layers from '../../layers.ts';
import { FormatError, located } from '../errors.ts';
import { finish, isSameAt } from '../finish.ts';
import type { HostTensor } from '../host-tensor.ts';
import type { ImportedNetwork, ReadOptions, Translated } from '../imported.ts';
import { type Json, quote } from '../json.ts';
import { shapeOfNode, signalRemark, squareOf, takenAs } from '../kit.ts';
import { type Call, type KerasModel, PASS, readConfig } from './config.ts';
import { expectOnly, type StoredWeight, type Value } from './context.ts';
import { layerTable, takesNumbers } from './layers.ts';

/** A Keras model as both of its formats hold it. */
export interface KerasFile {
  /** The `model_config`. */
  readonly config: Json;
  /** "2.4.0", "3.1.1", "tfjs-layers 4.22.0". */
  readonly kerasVersion: unknown;
  /** By names that end in the layer's name and the weight's: "conv1/kernel", "model/conv1/kernel". */
  readonly weights: ReadonlyMap<string, StoredWeight>;
}

/** Height and width to show shapes at where the network takes any, and others that tell whether it does. */
const EXAMPLE = [224, 224] as const;
const OTHER = [257, 251] as const;
/** No value of a network has more elements. */
const MAX_ELEMENTS = 2 ** 31;
const LAMBDA = ': it holds Python code; write it as layers, or export the network to ONNX';
/** No network has more numbers that its file does not hold. */
const MAX_CONSTANTS = 2 ** 24;
/** Weights that change what a layer computes: if the file has one and no layer takes it, something is misread. */
const MEANINGFUL = new Set(
  'kernel bias gamma beta moving_mean moving_variance depthwise_kernel pointwise_kernel alpha'.split(' '),
);

/**
 * Turns a Keras model into a network. `file` begins every message.
 *
 * @throws {FormatError} that lists everything at once: layers that are not supported, settings that are not, weights
 * that are missing, left over, or of another shape.
 */
export function buildKeras(
  keras: KerasFile,
  file: string,
  { size, output }: ReadOptions = {},
): ImportedNetwork {
  const model = readConfig(keras.config, file);
  const read = (example: readonly [number, number]) => {
    const translated = translate(model, keras, file, example);
    return located(file, () => finish(translated, output));
  };
  const [[, height, width] = []] = model.inputs.values();
  const network = read(size ?? EXAMPLE);
  const arranged = arrangedOf(model.inputs, EXAMPLE);
  const isFixed = arranged?.isFixed ?? (typeof height === 'number' && typeof width === 'number');
  const anySize = !isFixed && isSameAt(network, () => read(OTHER));
  return { ...network, anySize, ...(arranged && { remark: arranged.remark }) };
}

/** The nodes of a model, for an example of the size that it leaves open. */
function translate(
  { calls, inputs, outputs }: KerasModel,
  { kerasVersion, weights }: KerasFile,
  file: string,
  example: readonly [height: number, width: number],
): Translated {
  const version = typeof kerasVersion === 'string' && kerasVersion.startsWith('3') ? 3 : 2;
  const problems: string[] = [];
  const arranged = arrangedOf(inputs, example);
  const given: ReturnType<typeof inputsOf> = arranged ? new Map() : inputsOf(inputs, file, example);
  const picture = arranged && ([INPUT, arranged.picture] as const);
  const { take, leftOver } = weightReader(weights, problems);
  const { nodes, tensors, place, build } = maker(picture ? [picture] : given.values(), version, take);
  const values = new Map<string, Value>();
  if (arranged) {
    const { node, shape } = arranged.nodes.map(place).at(-1)!;
    given.set(arranged.name, [node, shape]);
  }
  for (const call of calls) {
    const label = `layer ${quote(call.layer)} (${call.className})`;
    if (call.className !== PASS && !layerTable.has(call.className))
      problems.push(`${label} is not supported${call.className === 'Lambda' ? LAMBDA : ''}`);
    const taken = call.inputs.map((name) => values.get(name));
    // What comes behind a layer with a problem cannot be judged.
    if (taken.includes(undefined)) continue;
    if (call.className === PASS) {
      const input = given.get(call.output);
      if (taken.length === 1) values.set(call.output, taken[0]!);
      else if (input) values.set(call.output, { node: input[0], shape: input[1] });
      else problems.push(`${label} is an input that the model does not name among its inputs`);
    } else if (layerTable.has(call.className)) {
      try {
        values.set(call.output, build(call, taken as Value[]));
      } catch (error) {
        if (!(error instanceof LimelightError)) throw error;
        problems.push(`${label}: ${error.message}`);
      }
    }
  }
  if (problems.length === 0) {
    for (const key of leftOver()) problems.push(`no layer takes the weight ${key}`);
  }
  if (problems.length > 0) {
    const shown =
      problems.length <= 100 ? problems : [...problems.slice(0, 100), `and ${problems.length - 100} more`];
    throw new FormatError(`${file} holds a network that Limelight cannot read:\n  ${shown.join('\n  ')}`);
  }
  const named = outputs.map((name) => ({ name, node: values.get(name)?.node }));
  return { nodes, tensors, inputs: new Map(picture ? [picture] : given.values()), outputs: named };
}

/** Makes the nodes of calls, from the names and shapes of what goes in: their shapes are found and their numbers kept. */
function maker(
  given: Iterable<readonly [name: string, shape: Shape]>,
  kerasVersion: number,
  take: ReturnType<typeof weightReader>['take'],
) {
  const device = dryDevice();
  const nodes: GraphNode[] = [];
  /** Shapes by node and input. */
  const shapes = new Map(given);
  const tensors = new Map<string, HostTensor>();
  let constants = 0;

  const place = (node: GraphNode): Value => {
    if (shapes.has(node.name)) throw new FormatError(`two nodes would be called ${quote(node.name)}`);
    const shape = shapeOfNode(
      device,
      node,
      node.inputs.map((input) => shapes.get(input)!),
    );
    if (!shape.every((n) => n >= 1) || sizeOf(shape) > MAX_ELEMENTS) {
      throw new FormatError(`it gives a value of shape [${shape.join(', ')}], which is empty or too large`);
    }
    shapes.set(node.name, shape);
    nodes.push(node);
    return { node: node.name, shape };
  };

  const build = (call: Call, taken: readonly Value[]): Value => {
    const { layer, className } = call;
    expectOnly(call.config, { data_format: [null, 'channels_last'] });
    if (call.operand && !takesNumbers(className))
      throw new FormatError('it is called with a number in place of a value of the network');
    const made = layerTable.get(className)!({
      name: layer,
      config: call.config,
      inputs: taken,
      operand: call.operand,
      kerasVersion,
      weight: (names, expected) => take(layer, names, expected),
      set: (key, tensor) => tensors.set(key, tensor),
      setConstant: (key, size, value) => {
        constants += size;
        if (constants > MAX_CONSTANTS)
          throw new FormatError(
            `the layers up to this one have ${constants} channels, more than any network's; the file is damaged`,
          );
        tensors.set(key, { shape: [size], data: Float32Array.from({ length: size }, (_, i) => value(i)) });
      },
    });
    // Nodes are made under the layer's name; those of a second call, or of a layer called "input", carry another.
    const prefix = shapes.has(call.output) ? `${call.output}:layer` : call.output;
    const names = new Map<string, string>();
    let value: Value | undefined;
    for (const node of made) {
      const name = prefix + node.name.slice(layer.length);
      // Only what this call has made so far goes by its new name; the values that it takes keep theirs.
      value = place({ ...node, name, inputs: node.inputs.map((input) => names.get(input) ?? input) });
      names.set(node.name, name);
    }
    return value!;
  };

  return { nodes, tensors, place, build };
}

/** A model's one input where it has not the shape of pictures. */
interface Arranged {
  readonly name: string;
  /** What is taken in its place, [1, C, H, W], and the nodes that make the input of it. */
  readonly picture: Shape;
  readonly nodes: readonly GraphNode[];
  readonly remark: string;
  /** Whether the file says its size. */
  readonly isFixed: boolean;
}

/** A grey picture without its channels, [null, 784] or [null, 28, 28], or a signal, [null, steps, channels]. */
function arrangedOf(
  inputs: KerasModel['inputs'],
  [, example]: readonly [number, number],
): Arranged | undefined {
  const [[name, [, ...sizes]] = ['', []], ...more] = inputs;
  if (more.length > 0) return undefined;
  const side = squareOf(sizes);
  if (side !== undefined) {
    return {
      name,
      picture: [1, 1, side, side],
      nodes: [layers.view(`${INPUT}.flat`, 'reshape', INPUT, ([batch]) => [batch!, ...(sizes as number[])])],
      remark: takenAs(sizes, 'a grey picture', [side, side]),
      isFixed: true,
    };
  }
  const [steps, channels, ...others] = sizes;
  const fits = [steps ?? example, channels].every((n) => Number.isSafeInteger(n) && n! >= 1);
  if (!fits || others.length > 0 || channels! * (steps ?? example) > MAX_ELEMENTS) return undefined;
  const last = layers.transpose(`${INPUT}.last`, INPUT, [0, 2, 3, 1]);
  return {
    name,
    picture: [1, channels!, 1, steps ?? example],
    nodes: [last, layers.view(`${INPUT}.signal`, 'reshape', last.name, ([n, , l, c]) => [n!, l!, c!])],
    remark: signalRemark(sizes, channels!, steps),
    isFixed: steps !== null,
  };
}

/** What goes in, by its name in the file: the graph's name and shape, the picture's [1, C, H, W]. */
function inputsOf(
  inputs: KerasModel['inputs'],
  file: string,
  example: readonly [number, number],
): Map<string, readonly [node: string, shape: Shape]> {
  const pictures = [...inputs].filter(([, { length }]) => length === 4);
  const [picture] = pictures[0] ?? [...inputs.keys()];
  const given = [...inputs].map(([name, shape]) => {
    const [, height, width, channels] = shape;
    const isPicture = name === picture;
    const sizes = isPicture ? [channels, height ?? example[0], width ?? example[1]] : shape.slice(1);
    const fits =
      (!isPicture || shape.length === 4) && sizes.every((n) => Number.isSafeInteger(n) && (n as number) >= 1);
    if (!fits || pictures.length > 1 || sizeOf(sizes as number[]) > MAX_ELEMENTS) {
      throw new FormatError(
        `${file}: the input "${name}" has the shape ${quote(shape)}; expected that of images, [null, height, width, channels], ` +
          'and of one input alone',
      );
    }
    return [name, [isPicture ? INPUT : name, [1, ...(sizes as number[])]]] as const;
  });
  return new Map(given.sort(([a], [b]) => Number(b === picture) - Number(a === picture)));
}

/** Gives layers their weights, notes what is wrong with them, and knows which nobody took. */
function weightReader(weights: ReadonlyMap<string, StoredWeight>, problems: string[]) {
  const find = weightFinder(weights);
  const taken = new Set<string>();
  const take = (
    layer: string,
    names: readonly string[],
    expected: readonly number[],
  ): HostTensor | undefined => {
    const [key, ...others] = names.flatMap((name) => find(`${layer}/${name}`));
    const wanted = `${layer}/${names.join(' or ')} [${expected.join(', ')}]`;
    if (key === undefined) {
      problems.push(`missing ${wanted}`);
      return undefined;
    }
    taken.add(key);
    const { shape, read } = weights.get(key)!;
    if (others.length === 0 && shape.join() === expected.join()) return { shape, data: read() };
    if (others.length > 0) problems.push(`${wanted} could be ${[key, ...others].slice(0, 4).join(' or ')}`);
    else problems.push(`${key} is [${shape.join(', ')}], expected [${expected.join(', ')}]`);
    return undefined;
  };
  const last = (key: string) => key.slice(key.lastIndexOf('/') + 1);
  const leftOver = () => [...weights.keys()].filter((key) => !taken.has(key) && MEANINGFUL.has(last(key)));
  return { take, leftOver };
}

/**
 * Finds a weight's key in the file by its path "outer/inner/layer/weight". Files say more or less than that: a model's
 * layers without the models in between, all layers behind the model's. So two names agree that end in the same layer and
 * weight, when one has all parts of the other in their order; those that have most in common are meant.
 */
function weightFinder(weights: ReadonlyMap<string, StoredWeight>): (path: string) => string[] {
  const tail = (path: string) => path.split('/').slice(-2).join('/');
  const byTail = grouped([...weights.keys()].map((key) => [tail(key), key]));
  const within = (few: readonly string[], many: readonly string[]) => {
    let next = 0;
    for (const part of many) if (part === few[next]) next++;
    return next === few.length;
  };
  return (path) => {
    if (weights.has(path)) return [path];
    const parts = path.split('/');
    const alike = (byTail.get(tail(path)) ?? []).map((key) => ({ key, path: key.split('/') }));
    const found = alike.filter((one) => within(one.path, parts) || within(parts, one.path));
    const shared = (one: { path: readonly string[] }) => Math.min(one.path.length, parts.length);
    const most = largest(found.map(shared));
    return found.filter((one) => shared(one) === most).map(({ key }) => key);
  };
}
