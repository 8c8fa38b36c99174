// A Keras model's calls and weights -> Limelight's graph: one loop over the layer table, each node's shape found on a
// dry device as it is made.

import {
  type Device,
  dryDevice,
  LimelightError,
  placeholder,
  reshape,
  type Shape,
  scope,
  sizeOf,
} from '../../../engine/index.ts';
import { type Graph, type GraphNode, INPUT } from '../../graph.ts';
import type { Preprocessing } from '../../preprocess.ts';
import { FormatError } from '../errors.ts';
import type { HostTensor } from '../host-tensor.ts';
import type { ImportedNetwork } from '../imported.ts';
import { type Call, type KerasModel, PASS, readConfig } from './config.ts';
import { expectOnly, type StoredWeight, type Value } from './context.ts';
import { type Json, quote } from './json.ts';
import { flattenedBy, inKerasOrder, layerTable, takesFlattened, takesNumbers } from './layers.ts';

/** A Keras model as both of its formats hold it. */
export interface KerasFile {
  /** The `model_config`. */
  readonly config: Json;
  /** "2.4.0", "3.1.1", "tfjs-layers 4.22.0". */
  readonly kerasVersion: unknown;
  /** By names that end in the layer's name and the weight's: "conv1/kernel", "model/conv1/kernel". */
  readonly weights: ReadonlyMap<string, StoredWeight>;
}

/** Height and width to show shapes at where the network takes any. */
const EXAMPLE_SIZE = 224;
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
 * Turns a Keras model into a graph. `file` begins every message.
 *
 * @throws {FormatError} that lists everything at once: layers that are not supported, settings that are not, weights
 * that are missing, left over, or of another shape.
 */
export function buildKeras({ config, kerasVersion, weights }: KerasFile, file: string): ImportedNetwork {
  const model = readConfig(config, file);
  const { shape, fixedSize } = inputOf(model, file);
  const version = typeof kerasVersion === 'string' && kerasVersion.startsWith('3') ? 3 : 2;
  const device = dryDevice();

  const problems: string[] = [];
  const nodes: GraphNode[] = [];
  /** Shapes by node, and the input's. */
  const shapes = new Map<string, Shape>([[INPUT, shape]]);
  const tensors = new Map<string, HostTensor>();
  const { take, leftOver } = weightReader(weights, problems);
  let constants = 0;
  const values = new Map<string, Value>();

  const place = (node: GraphNode): Value => {
    if (shapes.has(node.name)) throw new FormatError(`two nodes would be called ${quote(node.name)}`);
    const shape = shapeOf(node, shapes, device);
    shapes.set(node.name, shape);
    nodes.push(node);
    return { node: node.name, shape };
  };
  const ordered = (name: string, value: Value): Value =>
    value.flattened ? place(inKerasOrder(name, value)) : value;

  const build = (call: Call, given: readonly Value[]): Value => {
    const { layer, className } = call;
    expectOnly(call.config, { data_format: [null, 'channels_last'] });
    if (call.operand && !takesNumbers(className)) throw new FormatError('it is called with a number');
    const inputs = takesFlattened(className)
      ? given
      : given.map((value, i) => ordered(`${call.output}/input${i}`, value));
    const made = layerTable.get(className)!({
      name: layer,
      config: call.config,
      inputs,
      operand: call.operand,
      kerasVersion: version,
      fixedSize,
      weight: (names, expected) => take(layer, names, expected),
      set: (key, tensor) => {
        if (tensor !== undefined) tensors.set(key, tensor);
      },
      setConstant: (key, size, value) => {
        constants += size;
        if (constants > MAX_CONSTANTS)
          throw new FormatError(`the layers up to this one have ${constants} channels`);
        tensors.set(key, { shape: [size], data: Float32Array.from({ length: size }, (_, i) => value(i)) });
      },
    });
    // Nodes are made under the layer's name; those of a second call, or of a layer called "input", carry another.
    const own = shapes.has(call.output) ? `${call.output}:layer` : call.output;
    const names = new Map<string, string>();
    let value: Value | undefined;
    for (const node of made) {
      const name = own + node.name.slice(layer.length);
      // Only what this call has made so far goes by its new name; the values that it takes keep theirs.
      value = place({ ...node, name, inputs: node.inputs.map((input) => names.get(input) ?? input) });
      names.set(node.name, name);
    }
    return { ...value!, flattened: flattenedBy(className, inputs[0]!) };
  };

  for (const call of model.calls) {
    const label = `layer ${quote(call.layer)} (${call.className})`;
    if (call.className !== PASS && !layerTable.has(call.className))
      problems.push(`${label} is not supported${call.className === 'Lambda' ? LAMBDA : ''}`);
    const inputs = call.inputs.map((name) => values.get(name));
    // What comes behind a layer with a problem cannot be judged.
    if (inputs.includes(undefined)) continue;
    if (call.className === PASS) {
      if (inputs.length === 1) values.set(call.output, inputs[0]!);
      else if (call.output === model.input) values.set(call.output, { node: INPUT, shape });
      else problems.push(`${label} is an input that the model does not name among its inputs`);
    } else if (layerTable.has(call.className)) {
      try {
        values.set(call.output, build(call, inputs as Value[]));
      } catch (error) {
        if (!(error instanceof LimelightError)) throw error;
        problems.push(`${label}: ${error.message}`);
      }
    }
  }
  if (problems.length === 0) problems.push(...leftOver().map((key) => `no layer takes the weight ${key}`));
  if (problems.length > 0) {
    const shown =
      problems.length <= 100 ? problems : [...problems.slice(0, 100), `and ${problems.length - 100} more`];
    throw new FormatError(`${file} holds a network that Limelight cannot read:\n  ${shown.join('\n  ')}`);
  }
  const output = values.get(model.output);
  if (output === undefined)
    throw new FormatError(`${file}: nothing gives the model's output ${quote(model.output)}`);
  const { graph, probabilities } = withoutProbabilities(
    nodes,
    shapes,
    ordered(`${output.node}/output`, output),
    file,
  );
  const keys = new Set(graph.nodes.flatMap((node) => Object.values(node.parameters).map(({ key }) => key)));
  const said = preprocessingOf(graph, shape, fixedSize);
  return {
    graph,
    tensors: new Map([...tensors].filter(([key]) => keys.has(key))),
    inputShape: shape,
    anySize: !fixedSize,
    probabilities,
    ...(said && { preprocessing: said }),
  };
}

/** The input as [1, C, H, W]. */
function inputOf({ input, inputShape }: KerasModel, file: string): { shape: Shape; fixedSize: boolean } {
  const [, height, width, channels] = inputShape;
  const sizes = [channels, height ?? EXAMPLE_SIZE, width ?? EXAMPLE_SIZE] as number[];
  const fits = inputShape.length === 4 && sizes.every((n) => Number.isSafeInteger(n) && n >= 1);
  if (!fits || sizeOf(sizes) > MAX_ELEMENTS) {
    throw new FormatError(
      `${file}: the input "${input}" has the shape ${quote(inputShape)}; expected that of images, [null, height, width, channels]`,
    );
  }
  return { shape: [1, ...sizes], fixedSize: typeof height === 'number' && typeof width === 'number' };
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
 * Finds a weight's key in the file by its path "outer/layer/weight". Files say more or less than that: an inner model's
 * layers without its name, all layers behind the model's. So two names agree when one is the other's end.
 */
function weightFinder(weights: ReadonlyMap<string, StoredWeight>): (path: string) => string[] {
  const tail = (path: string) => path.split('/').slice(-2).join('/');
  const byTail = new Map<string, string[]>();
  for (const key of weights.keys()) {
    const list = byTail.get(tail(key));
    if (list) list.push(key);
    else byTail.set(tail(key), [key]);
  }
  return (path) => {
    if (weights.has(path)) return [path];
    const alike = byTail.get(tail(path)) ?? [];
    return alike.filter((key) => key.endsWith(`/${path}`) || path.endsWith(`/${key}`));
  };
}

/** The shape that a node gives, found without computing. */
function shapeOf(node: GraphNode, shapes: ReadonlyMap<string, Shape>, device: Device): Shape {
  const shape = scope(() => {
    const inputs = node.inputs.map((input) => placeholder(device, shapes.get(input)!));
    const parameters = Object.entries(node.parameters).map(
      ([short, { shape }]) => [short, placeholder(device, shape)] as const,
    );
    return node.run(inputs, { parameters: Object.fromEntries(parameters) }).shape;
  });
  if (shape.every((n) => n >= 1) && sizeOf(shape) <= MAX_ELEMENTS) return shape;
  throw new FormatError(`it gives a value of shape [${shape.join(', ')}], which is empty or too large`);
}

/** Layers that give the same numbers in the same order, where they stand between rows of class scores. */
const UNCHANGED = new Set(['dropout', 'flatten']);

/**
 * The graph up to the logits [N, classes]: without the softmax or sigmoid at its end, without layers there that change
 * nothing, and without what the output does not need. Logits whose activation goes take its layer's name.
 */
function withoutProbabilities(
  nodes: readonly GraphNode[],
  shapes: ReadonlyMap<string, Shape>,
  { node: output, shape }: Value,
  file: string,
): Pick<ImportedNetwork, 'graph' | 'probabilities'> {
  const classes = shape[1]!;
  const isRow = (name: string) => {
    const own = shapes.get(name);
    return (
      own !== undefined &&
      (own.length === 2 || own.length === 4) &&
      own[1] === classes &&
      sizeOf(own) === classes
    );
  };
  if (!isRow(output)) {
    throw new FormatError(
      `${file}: for one image the network gives [${shape.join(', ')}] (channels first); expected one row of class ` +
        'scores. Limelight explains classifiers',
    );
  }
  const byName = new Map(nodes.map((node) => [node.name, node]));
  let probabilities: 'softmax' | 'sigmoid' | undefined;
  let last = byName.get(output)!;
  let name = output;
  for (;;) {
    const before = byName.get(last.inputs[0]!);
    if (before === undefined || !isRow(before.name)) break;
    if (probabilities === undefined && (last.kind === 'softmax' || last.kind === 'sigmoid'))
      probabilities = last.kind;
    else if (!UNCHANGED.has(last.kind)) break;
    if (!before.name.startsWith(`${name}/`)) name = before.name;
    last = before;
  }
  const { run } = last;
  // Global pooling that keeps its axes gives [N, classes, 1, 1].
  const asRow: GraphNode['run'] = (inputs, context) => {
    const y = run(inputs, context);
    return reshape(y, [y.shape[0]!, -1]);
  };
  const logits = { ...last, name, ...(shapes.get(last.name)!.length === 4 && { run: asRow }) };
  const alive = new Set([last.name]);
  for (const node of [...nodes].reverse()) {
    if (alive.has(node.name)) for (const input of node.inputs) alive.add(input);
  }
  const kept = nodes.filter((node) => alive.has(node.name)).map((node) => (node === last ? logits : node));
  return { graph: { nodes: kept, output: name }, probabilities: probabilities ?? 'softmax' };
}

/** What the file says about pixels: their size; and their range, where the network itself rescales them first. */
function preprocessingOf({ nodes }: Graph, [, channels, height, width]: Shape, fixedSize: boolean) {
  if (channels !== 1 && channels !== 3) return undefined;
  const first = nodes.filter((node) => node.inputs.includes(INPUT));
  const raw = first.length > 0 && first.every(({ kind }) => kind === 'rescaling');
  const same = (value: number) => Array<number>(channels).fill(value);
  return {
    channels,
    ...(fixedSize && { size: [height!, width!] }),
    ...(raw && { scale: 1, mean: same(0), std: same(1) }),
  } satisfies Partial<Preprocessing>;
}
