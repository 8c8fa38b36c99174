// Reads an ONNX file as a network: one picture in, one row of logits out.

import type { Shape } from '../../../engine/index.ts';
import { type GraphNode, INPUT } from '../../graph.ts';
import { labelsIn } from '../../labels.ts';
import * as layers from '../../layers.ts';
import { FormatError, located, OutputError } from '../errors.ts';
import { finish, isSameAt } from '../finish.ts';
import type { ImportedNetwork, OpenPart, ReadOptions, Translated } from '../imported.ts';
import { signalRemark, squareOf, takenAs } from '../kit.ts';
import type { Computed, Value } from './call.ts';
import { isConstant } from './call.ts';
import {
  type Allowance,
  allowanceOfFile,
  checkOperators,
  type Functions,
  functionsOf,
  importNodes,
  isStandard,
  LAST_OPSET,
  type Opsets,
} from './importer.ts';
import { decodeModel, type GraphProto, graphsIn, type ModelProto, type ValueProto } from './messages.ts';
import { ELEMENT_TYPES, openParts, type Parts } from './tensors.ts';

/** Sizes to try where the file leaves the size open: most networks take the first, and some only their own. */
const EXAMPLES = [224, 32, 64, 96, 128, 160, 192, 240, 256, 288, 299, 320, 384, 448, 512, 640] as const;
/** A size that tells whether any will do. */
const OTHER = [257, 251] as const;

/**
 * The batch with which a file of any batch is read: a prime that is no size of a network, so that what comes from the
 * batch is known by it, through arithmetic on shapes too.
 */
const ANY_BATCH = 53;

/** The picture's input; what the file leaves open is undefined. */
interface InputSize {
  readonly name: string;
  readonly channels: number | undefined;
  readonly batch: number | undefined;
  readonly size: readonly [height: number | undefined, width: number | undefined];
  /** Whether the file has channels last, as TensorFlow does. */
  readonly isLast?: boolean;
  /** The file's shape of the same elements, where it has not four axes. */
  readonly shapeOf?: (shape: Shape) => Shape;
  /** What is said of an input that holds a picture in another shape, or a signal of so many channels. */
  readonly remark?: (channels: number) => string;
  /** Whole numbers from 0 to 255. */
  readonly isBytes: boolean;
}

/** A file that is open. */
interface File {
  readonly graph: GraphProto;
  readonly setting: { readonly opsets: Opsets; readonly functions: Functions; readonly parts: Parts };
  readonly picture: InputSize;
  readonly others: readonly ValueProto[];
  readonly classes: readonly string[] | undefined;
  readonly allowance: Allowance;
}

/** A file's graph, its functions and the versions of its operators, checked as far as no other file is needed. */
export function openModel(
  model: ModelProto,
  name: string,
): { graph: GraphProto; opsets: Opsets; functions: Functions } {
  const { graph } = model;
  const opsets = new Map(
    model.opsets.map(({ domain, version }) => [isStandard(domain) ? '' : domain, version]),
  );
  const opset = opsets.get('');
  if (graph === undefined || graph.nodes.length === 0 || opset === undefined) {
    throw new FormatError(
      `${name} is not an ONNX file, or not a complete one: it has no graph, or none of ONNX's own operators`,
    );
  }
  if (opset > LAST_OPSET || opset < 1) {
    throw new FormatError(
      `${name} is written in opset ${opset}; 7 to ${LAST_OPSET} are read. Export it with one of those`,
    );
  }
  const functions = functionsOf(model.functions);
  located(name, () => checkOperators(graph, functions));
  return { graph, opsets, functions };
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

const KNOWN_TYPES: ReadonlySet<string> = new Set(['float', 'uint8', 'float16', 'bfloat16', 'double']);

/** What goes into a network: the picture, and whatever else no initializer fills. */
function inputsOf(graph: GraphProto): { picture: InputSize; others: readonly ValueProto[] } {
  const filled = new Set(graph.initializers.map((proto) => proto.name));
  const open = graph.inputs.filter((input) => !filled.has(input.name));
  const [picture, ...more] =
    [pictureSize, flatSize, signalSize]
      .map((read) => open.flatMap((input) => read(input) ?? []))
      .find(({ length }) => length > 0) ?? [];
  const shown = open.map((one) => `"${one.name}" ${showType(one)}`).join(', ') || 'none';
  if (picture === undefined && open.length === 1) {
    const isVolume = open[0]!.type?.tensor?.shape?.dimensions.length === 5;
    throw new FormatError(
      `its input "${open[0]!.name}" is ${showType(open[0]!)}; ${
        isVolume
          ? 'volumes and videos, with three axes after the channels, are not read'
          : 'a picture is float [N, C, H, W], or its numbers in a row, and a signal float [N, C, L]'
      }`,
    );
  }
  if (picture === undefined || more.length > 0) {
    throw new FormatError(
      `it must have one input for the picture, float [N, C, H, W]; its inputs are ${shown}`,
    );
  }
  return { picture, others: open.filter(({ name }) => name !== picture.name) };
}

/** An input's sizes, undefined where they are open, and whether it takes bytes; undefined of other numbers. */
function sizesOf({
  type,
}: ValueProto): { sizes: readonly (number | undefined)[]; isBytes: boolean } | undefined {
  const sizes = type?.tensor?.shape?.dimensions.map(({ value }) => (value && value > 0 ? value : undefined));
  const element = ELEMENT_TYPES.get(type?.tensor?.elementType ?? 0);
  if (!sizes || !KNOWN_TYPES.has(element?.name ?? '')) return undefined;
  return { sizes, isBytes: element!.name === 'uint8' };
}

/**
 * The size of an input that holds a square picture's numbers in another shape: [N, 784], [784], [N, 28, 28], [28, 28], grey;
 * or [N, 3072], which is three colours one after the other. Undefined of others.
 */
function flatSize(input: ValueProto): InputSize | undefined {
  const { sizes, isBytes } = sizesOf(input) ?? { sizes: [], isBytes: false };
  const [first, ...rest] = sizes;
  const batched = rest.length > 0 && !(sizes.length === 2 && first === rest[0]);
  const ofPicture = batched ? rest : sizes;
  const grey = squareOf(ofPicture);
  const [count, ...more] = ofPicture;
  const side = grey ?? (count !== undefined && more.length === 0 ? squareOf([count / 3]) : undefined);
  if (side === undefined) return undefined;
  const channels = grey === undefined ? 3 : 1;
  return {
    name: input.name,
    channels,
    batch: batched ? first : 1,
    size: [side, side],
    shapeOf: ([n]) =>
      batched ? [n!, ...(ofPicture as number[])] : [n! * ofPicture[0]!, ...(more as number[])],
    remark: (channels) =>
      takenAs(
        ofPicture,
        channels === 1 ? 'a grey picture' : 'a picture, its three colours one after the other,',
        [side, side],
      ),
    isBytes,
  };
}

/** The size of an input that can be a signal, [N, C, L] or [N, L, C]: a picture of height 1. Undefined of others. */
function signalSize(input: ValueProto): InputSize | undefined {
  const { sizes, isBytes } = sizesOf(input) ?? {};
  if (sizes?.length !== 3 || sizes.some((n) => n !== undefined && n > MAX_SIDE)) return undefined;
  const [batch, second, third] = sizes;
  // Steps outnumber channels.
  const isLast = third !== undefined && third < (second ?? Number.POSITIVE_INFINITY);
  const [channels, length] = isLast ? [third, second] : [second, third];
  return {
    name: input.name,
    channels,
    batch,
    size: [1, length],
    isLast,
    shapeOf: ([n, a, b, c]) => (isLast ? [n!, b!, c!] : [n!, a!, c!]),
    remark: (channels) => signalRemark(sizes.slice(1), channels, length),
    isBytes: isBytes!,
  };
}

/** No picture and no signal is longer. */
const MAX_SIDE = 2 ** 20;

/** The size of an input that can be a picture; undefined of others. */
function pictureSize(input: ValueProto): InputSize | undefined {
  const { sizes, isBytes } = sizesOf(input) ?? {};
  if (sizes?.length !== 4 || sizes.some((n) => n !== undefined && n > MAX_SIDE)) return undefined;
  const [batch, second, third, fourth] = sizes;
  const isColour = (n: number | undefined) => n === 1 || n === 3;
  // Neither like colours: channels are last where they are far fewer than rows and columns.
  const fewest = Math.min(second ?? 0, third ?? 0);
  const isLast = !isColour(second) && (isColour(fourth) || 2 * (fourth ?? Number.POSITIVE_INFINITY) < fewest);
  const channels = isLast ? fourth : second;
  const isOpen = sizes.every((n) => n === undefined);
  if (!isOpen && channels === undefined) return undefined;
  const size = isLast ? ([second, third] as const) : ([third, fourth] as const);
  return { name: input.name, channels, batch, size, isLast, isBytes: isBytes! };
}

function showType({ type }: ValueProto): string {
  const tensor = type?.tensor;
  if (tensor === undefined) return 'not a tensor';
  const element = ELEMENT_TYPES.get(tensor.elementType)?.name ?? `type ${tensor.elementType}`;
  const sizes = tensor.shape?.dimensions.map(({ value }) => value ?? '?');
  return `${element} ${sizes ? `[${sizes.join(', ')}]` : 'of any shape'}`;
}

/** What the file makes of one size of its picture. */
function translate(file: File, channels: number, [height, width]: readonly [number, number]): Translated {
  const { graph, setting, picture, others, classes, allowance } = file;
  const walk = (batch: number): Translated => {
    const value = (node: string, type: Value['type'], ...size: readonly number[]): Computed => {
      return { type, shape: [batch, ...size], twice: [2 * batch, ...size], before: 1, node };
    };
    const { isLast, shapeOf } = picture;
    const turn: GraphNode[] = [];
    let seen = value(INPUT, 'float', channels, height, width);
    if (isLast) {
      turn.push(layers.transpose('input.nhwc', INPUT, [0, 2, 3, 1]));
      seen = value('input.nhwc', 'float', height, width, channels);
    }
    if (shapeOf) {
      turn.push(layers.view('input.flat', 'reshape', seen.node, shapeOf));
      seen = { ...seen, node: 'input.flat', shape: shapeOf(seen.shape), twice: shapeOf(seen.twice) };
    }
    const named = new Map<string, Computed>([[picture.name, seen]]);
    for (const other of others) named.set(other.name, otherInput(other, value));
    const imported = importNodes(graph, { ...setting, batch, given: named, allowance });
    const shapes = others.map(({ name }): [string, readonly number[]] => {
      const { node, shape } = named.get(name)!;
      return [node, [1, ...shape.slice(1)]];
    });
    const among = [...imported.among];
    return {
      nodes: [...turn, ...imported.nodes],
      tensors: imported.tensors,
      inputs: new Map([[INPUT, [1, channels, height, width]], ...shapes]),
      outputs: graph.outputs.map(({ name }) => {
        const found = imported.values.get(name);
        if (found instanceof FormatError) return { name, node: undefined, chosen: { among, reason: found } };
        if (found === undefined || isConstant(found)) return { name, node: undefined };
        return { name, node: found.node, isWhole: found.type !== 'float' };
      }),
      takesBytes: picture.isBytes,
      classes,
    };
  };
  if (picture.batch !== undefined) return walk(picture.batch);
  try {
    return walk(ANY_BATCH);
  } catch (error) {
    // Some files leave the batch open and are made for one picture all the same.
    if (!(error instanceof FormatError)) throw error;
    return walk(1);
  }
}

/** A further input, for one picture. */
function otherInput(
  { name, type }: ValueProto,
  value: (node: string, type: Value['type'], ...size: readonly number[]) => Computed,
): Computed {
  const element = ELEMENT_TYPES.get(type?.tensor?.elementType ?? 0);
  const [, ...sizes] = type?.tensor?.shape?.dimensions.map((one) => one.value) ?? [];
  if (element === undefined || type?.tensor?.shape?.dimensions.length === 0 || sizes.some((n) => !n)) {
    throw new FormatError(
      `its input "${name}" is ${showType({ name, ...(type && { type }) })}; its sizes must be known`,
    );
  }
  return value(name, element.type, ...(sizes as number[]));
}

/** What `f` gives for the sizes of the file, or for the first example that it takes in place of what is open. */
function firstThatReads<T>(
  [height, width]: InputSize['size'],
  { channels, size: [said] }: InputSize,
  f: (channels: number, size: readonly [number, number]) => T,
): T {
  const isSignal = said === 1;
  const open = width === undefined && (height === undefined || isSignal);
  const sizes = EXAMPLES.map((n) =>
    isSignal ? ([1, width ?? n] as const) : ([height ?? width ?? n, width ?? height ?? n] as const),
  );
  let first: FormatError | undefined;
  for (const size of open ? sizes : sizes.slice(0, 1)) {
    for (const one of channels === undefined ? [3, 1] : [channels]) {
      try {
        return f(one, size);
      } catch (error) {
        if (!(error instanceof FormatError) || error instanceof OutputError) throw error;
        first ??= error;
      }
    }
  }
  if (!open) throw first;
  throw new FormatError(
    `${first!.message}\n  The file leaves the size of its input open, and none of these is taken: ` +
      `${EXAMPLES.join(', ')}; say which it was made for`,
    { cause: first },
  );
}

/** Class names as Ultralytics' exporters write them: the text of a Python dict. */
const classesIn = (said: ReadonlyMap<string, string>) => labelsIn(said.get('names') ?? '');

/** The size that a network was trained for, as the same exporters say it: "[640, 640]". */
function usualSize(said: ReadonlyMap<string, string>): readonly [height: number, width: number] | undefined {
  const [, height, width] = /^\[(\d{1,4}), ?(\d{1,4})\]$/.exec(said.get('imgsz') ?? '') ?? [];
  return Number(height) > 0 && Number(width) > 0 ? [Number(height), Number(width)] : undefined;
}

/**
 * Reads an ONNX file (opsets 7 to 28) with a picture [N, C, H, W] among its inputs and a row of class scores among its
 * outputs. What is known when the file is read is folded; every other operator is a node that can be explained. The
 * file's batch counts as any. `openPart` gives the files of external data. Where the file leaves the picture's size open,
 * `size` is what it is read for: sizes to which shapes in the file are tied are found by trying otherwise. `output` names
 * the output that is explained, where several could be.
 *
 * @throws {FormatError} if the file is malformed, is no such network, or uses what is not supported; all unsupported
 * operators are listed at once, and all outputs where none is clearly meant.
 */
export async function readOnnx(
  bytes: Uint8Array,
  fileName: string,
  openPart: OpenPart,
  { size, output }: ReadOptions = {},
): Promise<ImportedNetwork> {
  const model = decodeModel(bytes, fileName);
  const { graph, opsets, functions } = openModel(model, fileName);
  const said = new Map(model.metadata.map(({ key, value }) => [key, value]));
  const setting = { opsets, functions, parts: await partsOf(graph, openPart) };
  return readGraph({ graph, setting, classes: classesIn(said) }, fileName, {
    size: size ?? usualSize(said),
    output,
  });
}

/** The network of a graph that is there, whatever kind of file it comes from. */
export function readGraph(
  { graph, setting, classes }: Pick<File, 'graph' | 'setting' | 'classes'>,
  fileName: string,
  { size: wanted, output }: ReadOptions,
): ImportedNetwork {
  return located(fileName, () => {
    const { picture, others } = inputsOf(graph);
    const file: File = { graph, setting, picture, others, classes, allowance: allowanceOfFile() };
    const size = picture.size.map((n, axis) => n ?? wanted?.[axis]) as [
      number | undefined,
      number | undefined,
    ];
    const { example, channels } = firstThatReads(size, picture, (channels, one) => ({
      channels,
      example: finish(translate(file, channels, one), output),
    }));
    const [height, width] = picture.size;
    const free = width === undefined && (height ?? 1) === 1;
    const other = [height ?? OTHER[0], OTHER[1]] as const;
    const again = () => finish(translate(file, channels, other), output);
    const remarks = [picture.remark?.(channels), example.remark].filter((one) => one !== undefined);
    return {
      ...example,
      anySize: free && isSameAt(example, again),
      ...(remarks.length > 0 && { remark: remarks.join('; ') }),
    };
  });
}
