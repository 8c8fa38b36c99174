// Reads an ONNX file as a network: one picture in, one row of logits out.

import { LimelightError, transpose } from '../../../engine/index.ts';
import { shapesOf } from '../../dry-run.ts';
import { type Graph, type GraphNode, INPUT } from '../../graph.ts';
import * as layers from '../../layers.ts';
import { FormatError } from '../errors.ts';
import type { StateDict } from '../host-tensor.ts';
import type { ImportedNetwork, OpenPart } from '../imported.ts';
import type { Computed, Value } from './call.ts';
import { isConstant } from './call.ts';
import { checkOperators, type Imported, importNodes, isStandard } from './importer.ts';
import { decodeModel, type GraphProto, graphsIn, type ModelProto, type ValueProto } from './messages.ts';
import { ELEMENT_TYPES, openParts, type Parts } from './tensors.ts';

/** The last version of ONNX's operators that is read. Older ones than 7 are where they mean the same. */
const LAST_OPSET = 21;

/** Sizes to try where the file leaves the size open: most networks take the first, and some only their own. */
const EXAMPLES = [224, 32, 64, 96, 128, 160, 192, 240, 256, 288, 299, 320, 384, 448, 512] as const;
/** A size that tells whether any will do. */
const OTHER = [257, 251] as const;

/**
 * The batch with which a file of any batch is read: a prime that is no size of a network, so that what comes from the
 * batch is known by it, through arithmetic on shapes too.
 */
const ANY_BATCH = 53;

/** A size that the file leaves open is undefined. */
interface InputSize {
  readonly name: string;
  readonly channels: number;
  readonly batch: number | undefined;
  readonly size: readonly [height: number | undefined, width: number | undefined];
  /** TensorFlow's order [N, H, W, C]. */
  readonly channelsLast: boolean;
}

/** A file's graph and the version of its operators, checked as far as no other file is needed. */
export function openModel(model: ModelProto, name: string): { graph: GraphProto; opset: number } {
  const { graph } = model;
  const opset = model.opsets.find(({ domain }) => isStandard(domain))?.version;
  if (graph === undefined || graph.nodes.length === 0 || opset === undefined) {
    throw new FormatError(`${name} is not an ONNX file: it has no graph, or none of ONNX's own operators`);
  }
  if (opset > LAST_OPSET || opset < 1) {
    throw new FormatError(
      `${name} is written in opset ${opset}; 7 to ${LAST_OPSET} are read. Export it with one of those`,
    );
  }
  located(name, () => checkOperators(graph));
  return { graph, opset };
}

/** Puts the file's name before what went wrong. */
function located<T>(name: string, f: () => T): T {
  try {
    return f();
  } catch (cause) {
    // A RangeError is an array too long to make: the file asks for one.
    if (!(cause instanceof LimelightError || cause instanceof RangeError)) throw cause;
    throw new FormatError(`${name}: ${cause.message}`, { cause });
  }
}

/** Every tensor that may lie in another file. */
const tensorsOf = (whole: GraphProto) =>
  graphsIn(whole).flatMap((graph) => [
    ...graph.initializers,
    ...graph.nodes.flatMap((node) => node.attributes.flatMap(({ tensor }) => (tensor ? [tensor] : []))),
  ]);

/** Opens the files that hold the data of a graph's tensors. */
export const partsOf = (graph: GraphProto, openPart: OpenPart): Promise<Parts> =>
  openParts(tensorsOf(graph), openPart);

/** What a picture goes into: the one input that no initializer fills. */
function pictureInput(graph: GraphProto): InputSize {
  const filled = new Set(graph.initializers.map((proto) => proto.name));
  const open = graph.inputs.filter((input) => !filled.has(input.name));
  const [input] = open;
  if (input === undefined || open.length > 1) {
    const names = open.map((one) => one.name).join(', ') || 'none';
    throw new FormatError(`it must have one input, for the picture; its inputs are ${names}`);
  }
  const shown = `its input "${input.name}" is ${showType(input)}; a picture is float [N, C, H, W] with C = 1 or 3`;
  const tensor = input.type?.tensor;
  const sizes = tensor?.shape?.dimensions.map(({ value }) => (value && value > 0 ? value : undefined));
  if (ELEMENT_TYPES.get(tensor?.elementType ?? 0)?.type !== 'float' || sizes?.length !== 4) {
    throw new FormatError(shown);
  }
  const [batch, second, third, fourth] = sizes;
  const isColour = (n: number | undefined) => n === 1 || n === 3;
  const channelsLast = !isColour(second) && isColour(fourth);
  const channels = channelsLast ? fourth : second;
  if (channels === undefined || sizes.some((n) => n !== undefined && n > 2 ** 20))
    throw new FormatError(shown);
  const size = channelsLast ? ([second, third] as const) : ([third, fourth] as const);
  return { name: input.name, channels, batch, size, channelsLast };
}

function showType({ type }: ValueProto): string {
  const tensor = type?.tensor;
  if (tensor === undefined) return 'not a tensor';
  const element = ELEMENT_TYPES.get(tensor.elementType)?.name ?? `type ${tensor.elementType}`;
  const sizes = tensor.shape?.dimensions.map(({ value }) => value ?? '?');
  return `${element} ${sizes ? `[${sizes.join(', ')}]` : 'of any shape'}`;
}

/** The graph for one size of the input. */
function read(
  graph: GraphProto,
  opset: number,
  parts: Parts,
  input: InputSize,
  [height, width]: readonly [number, number],
): { network: Graph; tensors: StateDict; probabilities: ImportedNetwork['probabilities'] } {
  const walk = (batch: number) => {
    const value = (node: string, ...size: readonly number[]): Computed => {
      return { type: 'float', shape: [batch, ...size], twice: [2 * batch, ...size], before: 1, node };
    };
    const picture = value(INPUT, input.channels, height, width);
    const turned = value('input.nhwc', height, width, input.channels);
    const given = new Map<string, Value>([[input.name, input.channelsLast ? turned : picture]]);
    const imported = importNodes(graph, { opset, batch, given, parts });
    return input.channelsLast ? withTurnedInput(imported, turned.node) : imported;
  };
  const attempt = () => {
    if (input.batch !== undefined) return walk(input.batch);
    try {
      return walk(ANY_BATCH);
    } catch (error) {
      // Some files leave the batch open and are made for one picture all the same.
      if (!(error instanceof FormatError)) throw error;
      return walk(1);
    }
  };
  return finish(graph, attempt(), [1, input.channels, height, width]);
}

/** The picture in TensorFlow's order, before everything else. */
function withTurnedInput(imported: Imported, name: string): Imported {
  const turn = layers.plain(name, 'transpose', [INPUT], (x) => transpose(x, [0, 2, 3, 1]), {
    order: [0, 2, 3, 1],
  });
  return { ...imported, nodes: [turn, ...imported.nodes] };
}

/** Ends the graph at its logits [N, classes], keeps what they depend on, and checks that batches run. */
function finish(file: GraphProto, imported: Imported, inputShape: readonly number[]) {
  const name = file.outputs[0]?.name ?? '';
  const value = imported.values.get(name);
  if (value === undefined || isConstant(value)) {
    throw new FormatError(`its output "${name}" does not depend on the picture, or nothing gives it`);
  }
  const nodes = new Map(imported.nodes.map((node) => [node.name, node]));
  const last = nodes.get(value.node);
  if (last === undefined) throw new FormatError(`its output "${name}" is its input`);
  const final = FINAL.get(last.kind);
  const logits = final && last.inputs[0] !== INPUT ? last.inputs[0]! : last.name;
  const kept = withBiases(dependencies(imported.nodes, logits));
  const shapes = shapesOf({ nodes: kept, output: logits }, inputShape);
  const shape = shapes.get(logits)!;
  const flat = shape.length > 2 && shape.slice(2).every((n) => n === 1);
  if (shape[0] !== 1 || !(shape.length === 2 || flat)) {
    throw new FormatError(
      `its output "${name}" is [${shape.join(', ')}] for one picture; [1, classes] is what can be explained`,
    );
  }
  let end = `${logits}.flatten`;
  while (nodes.has(end)) end += '_';
  const tail = flat ? [layers.flatten(end, logits)] : [];
  const network: Graph = { nodes: [...kept, ...tail], output: tail[0]?.name ?? logits };
  checkBatch(network, inputShape);
  const keys = new Set(network.nodes.flatMap((node) => Object.values(node.parameters).map(({ key }) => key)));
  const tensors: StateDict = new Map([...imported.tensors].filter(([key]) => keys.has(key)));
  return { network, tensors, probabilities: final ?? ('softmax' as const) };
}

/** Last layers that turn logits into probabilities. */
const FINAL: ReadonlyMap<string, ImportedNetwork['probabilities']> = new Map([
  ['softmax', 'softmax'],
  ['logSoftmax', 'softmax'],
  ['sigmoid', 'sigmoid'],
]);

function dependencies(nodes: readonly GraphNode[], output: string): GraphNode[] {
  const needed = new Set([output]);
  const kept = [...nodes].reverse().filter((node) => {
    if (!needed.has(node.name)) return false;
    for (const input of node.inputs) needed.add(input);
    return true;
  });
  return kept.reverse();
}

/** A product and the addition of a bias behind it, as TensorFlow writes them, are one linear layer. */
function withBiases(nodes: readonly GraphNode[]): GraphNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const users = new Map<string, number>();
  for (const name of nodes.flatMap((node) => node.inputs)) users.set(name, (users.get(name) ?? 0) + 1);
  const joined = new Set<string>();
  const replaced = nodes.map((node): GraphNode => {
    const product = node.inputs.length === 1 ? byName.get(node.inputs[0]!) : undefined;
    const [bias] = Object.values(node.parameters);
    if (node.kind !== 'add' || product?.kind !== 'linear' || users.get(product.name) !== 1) return node;
    const { weight, bias: first } = product.parameters;
    const [out, inputs] = weight!.shape as [number, number];
    if (first !== undefined || bias?.shape.join() !== String(out)) return node;
    joined.add(product.name);
    const layer = layers.linear(node.name, product.inputs[0]!, { in: inputs, out });
    return { ...layer, parameters: { weight: weight!, bias } };
  });
  return replaced.filter((node) => !joined.has(node.name));
}

function checkBatch(graph: Graph, [, ...size]: readonly number[]): void {
  const problem = (reason: string, cause?: unknown) =>
    new FormatError(`it cannot run several pictures at once, which the methods need: ${reason}`, { cause });
  let batch: number | undefined;
  try {
    batch = shapesOf(graph, [2, ...size]).get(graph.output)![0];
  } catch (cause) {
    if (!(cause instanceof LimelightError)) throw cause;
    throw problem(cause.message, cause);
  }
  if (batch !== 2) throw problem(`for 2 pictures it gives ${batch} rows`);
}

/** Whether a graph read at one size is the one that is read at another. */
function sameAt(size: readonly number[], a: ReturnType<typeof read>, b: ReturnType<typeof read>): boolean {
  try {
    const [left, right] = [a, b].map(({ network }) => {
      const settings = network.nodes.map(({ name, kind, attributes }) => [name, kind, attributes]);
      return JSON.stringify([settings, ...shapesOf(network, size)]);
    });
    if (left !== right || a.tensors.size !== b.tensors.size) return false;
  } catch (error) {
    if (error instanceof LimelightError) return false;
    throw error;
  }
  return [...a.tensors].every(([key, { data }]) => {
    const other = b.tensors.get(key)?.data;
    if (data === other || data.length !== other?.length) return data === other;
    // Most are views of the file.
    if (data.buffer === other.buffer && data.byteOffset === other.byteOffset) return true;
    return data.every((n, i) => Object.is(n, other[i]));
  });
}

/** What `f` gives for the size of the file, or for the first example that it takes in place of what is open. */
function firstThatReads<T>(
  [height, width]: InputSize['size'],
  f: (size: readonly [number, number]) => T,
): { example: T; size: readonly [number, number] } {
  const open = height === undefined && width === undefined;
  const sizes = EXAMPLES.map((n) => [height ?? width ?? n, width ?? height ?? n] as const);
  const tried = open ? sizes : sizes.slice(0, 1);
  let first: FormatError | undefined;
  for (const size of tried) {
    try {
      return { example: f(size), size };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      first ??= error;
    }
  }
  if (!open) throw first;
  throw new FormatError(
    `${first!.message}\n  The file leaves the size of its input open, and none of these is taken: ` +
      `${EXAMPLES.join(', ')}; say which it was made for`,
    { cause: first },
  );
}

/**
 * Reads an ONNX file (opsets 7 to 21) with one picture [N, C, H, W] as its input and a row of class scores as its
 * output. What is known when the file is read is folded; every other operator is a node that can be explained. The
 * file's batch counts as any. `openPart` gives the files of external data; `wanted` is the size to read the network for
 * where the file leaves it open: sizes to which shapes in the file are tied are found by trying otherwise.
 *
 * @throws {FormatError} if the file is malformed, is no such network, or uses what is not supported; all unsupported
 * operators are listed at once.
 */
export async function readOnnx(
  bytes: Uint8Array,
  fileName: string,
  openPart: OpenPart,
  wanted?: readonly [height: number, width: number],
): Promise<ImportedNetwork> {
  const { graph, opset } = openModel(decodeModel(bytes, fileName), fileName);
  const parts = await partsOf(graph, openPart);
  return located(fileName, () => {
    const own = pictureInput(graph);
    const size = own.size.map((n, axis) => n ?? wanted?.[axis]) as [number | undefined, number | undefined];
    const input = { ...own, size };
    const { example, size: taken } = firstThatReads(size, (one) => read(graph, opset, parts, input, one));
    const free = own.size.every((n) => n === undefined);
    return {
      graph: example.network,
      tensors: example.tensors,
      inputShape: [1, input.channels, ...taken],
      anySize: free && worksAtAnySize(),
      probabilities: example.probabilities,
    };

    function worksAtAnySize(): boolean {
      try {
        const other = read(graph, opset, parts, input, OTHER);
        return sameAt([1, input.channels, ...OTHER], example, other);
      } catch (error) {
        if (error instanceof FormatError) return false;
        throw error;
      }
    }
  });
}
