// From what an importer translates to a network: the canonical graph, the output that is meant, the logits before its
// softmax or sigmoid, or a detector's boxes, and the preprocessing that the network does itself.

import { LimelightError, type Shape, sizeOf } from '../../engine/index.ts';
import { canonical } from '../canonical.ts';
import { type DryRun, dryRun } from '../dry-run.ts';
import { eachParameter, type Graph, type GraphNode, INPUT, usersOf } from '../graph.ts';
import * as layers from '../layers.ts';
import { presets } from '../preprocess.ts';
import { detectorHeads, type Head } from './detector.ts';
import { FormatError, OutputError } from './errors.ts';
import type { StateDict } from './host-tensor.ts';
import type { ImportedNetwork, NamedOutput, Translated } from './imported.ts';
import { dependencies, naming, shapesFor } from './kit.ts';
import { segmentationHead } from './segmentation.ts';

/** A network but for what its reader knows of sizes. */
export type Finished = Omit<ImportedNetwork, 'anySize'>;

/** Where scores come from: the node before their softmax or sigmoid, or the output itself. */
interface Logits {
  readonly node: string;
  readonly gives?: 'softmax' | 'sigmoid' | undefined;
}

/** An output that may be explained. */
interface Candidate extends NamedOutput {
  readonly node: string;
  readonly logits: Logits;
}

/** Networks have fewer outputs that could be meant. */
const MOST_OUTPUTS = 100;
/** Outputs that a message lists; the others are counted. */
const MOST_LISTED = 20;

const show = (shape: Shape | undefined) => `[${shape?.join(', ') ?? 'known beforehand'}]`;

/** A row of numbers for each picture, whatever axes of size 1 it has; undefined for other shapes, told of two pictures. */
const rowOf = ([batch, ...rest]: Shape): number | undefined =>
  batch === 2 && rest.filter((n) => n !== 1).length <= 1 ? sizeOf(rest) : undefined;

/**
 * Walks back from an output through views and functions that keep the order of classes to what makes probabilities: what
 * stands before that are logits. Nothing of that kind: the output is taken as it is.
 */
function logitsOf(
  output: string,
  nodes: ReadonlyMap<string, GraphNode>,
  shapes: ReadonlyMap<string, Shape>,
): Logits {
  let at = nodes.get(output);
  while (at !== undefined && at.inputs.length === 1) {
    const [input] = at.inputs as [string];
    const { gives, view, increasing } = at.traits;
    if (gives)
      return rowOf(shapes.get(input)!) === undefined || input === INPUT
        ? { node: output }
        : { node: input, gives };
    if (!view && !increasing) break;
    at = nodes.get(input);
  }
  return { node: output };
}

/**
 * The one output that is meant: the one asked for, or the one row of scores that leads to no other, or where there is no
 * row, the one output of a detector.
 */
function choose(
  outputs: readonly NamedOutput[],
  asked: string | undefined,
  graph: { nodes: readonly GraphNode[]; shapes: ReadonlyMap<string, Shape> },
  heads: {
    readonly ofRow: (logits: Logits) => Head;
    readonly ofDetectors: (outputs: readonly NamedOutput[]) => readonly Head[];
    readonly ofPlaces: (output: string) => Head | undefined;
  },
): Head {
  const { nodes, shapes } = graph;
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const one = ([, ...rest]: Shape): Shape => [1, ...rest];
  const shapeOf = ({ node }: NamedOutput) => {
    const shape = node === undefined ? undefined : shapes.get(node);
    return shape && (shape[0] === 2 ? one(shape) : shape);
  };
  const unlisted = outputs.length - MOST_LISTED;
  const listed = () =>
    outputs
      .slice(0, MOST_LISTED)
      .map(
        (output) => `\n  ${output.name} ${show(shapeOf(output))}${output.isWhole ? ' of whole numbers' : ''}`,
      )
      .join('') + (unlisted > 0 ? `\n  and ${unlisted} more` : '');
  const named = asked === undefined ? outputs : outputs.filter(({ name }) => name === asked);
  if (asked !== undefined && named.length === 0)
    throw new FormatError(`it has no output "${asked}"; its outputs are:${listed()}`);
  const candidates = named.flatMap((output): Candidate[] => {
    const { node } = output;
    const isRow = node !== undefined && byName.has(node) && rowOf(shapes.get(node)!) !== undefined;
    return isRow && !output.isWhole ? [{ ...output, node, logits: logitsOf(node, byName, shapes) }] : [];
  });
  if (candidates.length > MOST_OUTPUTS) {
    throw new FormatError(
      `${candidates.length} of its outputs could be explained; choose one with --output NAME`,
    );
  }
  const before = candidates.map(
    ({ logits }) => new Set(dependencies(nodes, [logits.node]).map(({ name }) => name)),
  );
  const [first, ...others] = candidates.filter(
    ({ node, logits }, i) =>
      !candidates.some((other, k) =>
        other.logits.node === logits.node ? k > i : before[k]!.has(logits.node) || before[k]!.has(node),
      ),
  );
  const detectors = first ? [] : heads.ofDetectors(named);
  const maps =
    first || detectors.length > 0
      ? []
      : named.flatMap(({ name, node, isWhole }) => {
          const head = node === undefined || isWhole ? undefined : heads.ofPlaces(node);
          return head ? [{ name, head }] : [];
        });
  const places = asked === undefined ? [] : maps.map(({ head }) => head);
  const [head = first && heads.ofRow(first.logits), ...more] = [...detectors, ...places];
  if (head === undefined) {
    const refused = named.find(({ chosen }) => chosen)?.chosen?.reason ?? refusal(named, shapeOf, listed);
    const names = maps.map(({ name }) => name);
    throw names.length === 0 ? refused : new OutputError(refused.message + advice(names), names);
  }
  if (others.length + more.length === 0) return head;
  throw new OutputError(
    `it has several outputs that could be explained; choose one with --output NAME (the option output):${listed()}`,
    named.map(({ name }) => name),
  );
}

/** What a map says of classes, if it does, is not for the file's shapes to tell. */
const advice = (names: readonly string[]): string =>
  '\nWhat scores classes at each place of the picture, as segmentation does, is explained where it is asked for: --output ' +
  `${names.slice(0, MOST_LISTED).join(', or ')} (the option output)`;

const SCALES =
  "\nIf these are the scales of a detector: YOLOv8's and v11's are read as they are, from a file that names the classes. Of " +
  'others the file lacks the sizes of the anchors; export it with its boxes joined and in pixels, as one output ' +
  "(Ultralytics: format='onnx'; YOLOv5's export.py: without --train; YOLOv7's: with --grid)";

function refusal(
  named: readonly NamedOutput[],
  shapeOf: (output: NamedOutput) => Shape | undefined,
  listed: () => string,
): FormatError {
  const [only, ...more] = named;
  if (more.length > 0) {
    const areScales = named.every((output) => (shapeOf(output)?.length ?? 0) >= 4);
    return new FormatError(
      `none of its outputs is a row of scores [1, classes], which can be explained:${listed()}` +
        (areScales ? SCALES : ''),
    );
  }
  if (only?.node === undefined)
    return new FormatError(
      `its output "${only?.name ?? ''}" does not depend on the picture, or nothing gives it`,
    );
  if (only.node === INPUT) return new FormatError(`its output "${only.name}" is its input`);
  return new FormatError(
    `its output "${only.name}" is ${show(shapeOf(only))} for one picture${only.isWhole ? ', of whole numbers' : ''}; ` +
      '[1, classes] is what can be explained, or the boxes of a YOLO detector, all of them and in pixels: [1, boxes, 5 + classes] or [1, 4 + classes, boxes]',
  );
}

/** Checks that several pictures run at once. */
function shapesForTwo(nodes: readonly GraphNode[], inputs: ReadonlyMap<string, Shape>): Map<string, Shape> {
  try {
    return shapesFor(nodes, inputs);
  } catch (cause) {
    if (!(cause instanceof LimelightError)) throw cause;
    throw new FormatError(
      `it cannot run several pictures at once, which the methods need: ${cause.message}`,
      { cause },
    );
  }
}

/**
 * A network of what an importer found.
 *
 * @throws {FormatError} where no output, or more than one, gives one row of scores a picture.
 */
export function finish(translated: Translated, asked: string | undefined): Finished {
  const { inputs, outputs } = translated;
  const [picture, ...others] = [...inputs.keys()] as [string, ...string[]];
  const two = new Map([...inputs].map(([name, shape]) => [name, [2, ...shape.slice(1)]]));
  const given = outputs
    .flatMap(({ node, chosen }) => chosen?.among ?? node ?? [])
    .filter((node) => !inputs.has(node));
  const alive = dependencies(translated.nodes, given);
  shapesForTwo(alive, two);
  const { nodes, tensors, aliases } = canonical({
    nodes: alive,
    tensors: translated.tensors,
    inputs: two,
    outputs: given,
  });
  const resolve = (name: string) => aliases.get(name) ?? name;
  const resolved = outputs.map(
    ({ chosen, ...output }): NamedOutput => ({
      ...output,
      node: output.node === undefined ? undefined : resolve(output.node),
      ...(chosen && { chosen: { ...chosen, among: chosen.among.map(resolve) } }),
    }),
  );
  const shapes = shapesFor(nodes, two);
  const inputShape = inputs.get(picture)!;
  const unique = naming();
  const names = [...inputs.keys(), ...nodes.map(({ name }) => name), ...aliases.keys()];
  for (const name of [...names, ...resolved.map(({ name }) => name)]) unique(name);
  const shapesOfOthers = new Map(others.map((name) => [name, inputs.get(name)!]));
  const graphTo = (output: string) => ({
    nodes,
    output,
    ...(others.length > 0 && { inputs: [picture, ...others] }),
  });
  let found: DryRun['places'] | undefined;
  const places = (output: string) => {
    found ??= dryRun(graphTo(output), inputShape, shapesOfOthers).places;
    return found;
  };
  const head = choose(
    resolved,
    asked,
    { nodes, shapes },
    {
      ofRow: ({ node, gives }) => rowHead(rowBefore(node, nodes, shapes), gives, shapes, unique),
      ofDetectors: (named) =>
        detectorHeads(named, { nodes, shapes }, inputShape, translated.classes?.length, unique),
      ofPlaces: (output) =>
        output === INPUT || shapes.get(output)![0] !== 2
          ? undefined
          : segmentationHead(output, { nodes, places: places(output) }, unique),
    },
  );
  const { output, classCount, detection, segmentation, gives } = head;
  const named = [
    ...resolved.flatMap(({ name, node }) => (node === undefined ? [] : [[name, node] as const])),
    ...Object.values({ ...detection, ...segmentation }).map((name) => [name, name] as const),
  ];
  const all = dependencies([...nodes, ...head.nodes], [output, ...named.map(([, node]) => node)]);
  const graph: Graph = {
    nodes: all,
    ...(others.length > 0 && { inputs: [picture, ...others] }),
    output,
    outputs: new Map(named),
    ...(aliases.size > 0 && { aliases }),
  };
  const keys = new Set(all.flatMap(({ parameters }) => Object.values(parameters).map(({ key }) => key)));
  const isRaw = translated.takesBytes || scalesItself(all, tensors, inputShape[1]!);
  return {
    graph,
    tensors: new Map([...tensors].filter(([key]) => keys.has(key))),
    inputShape,
    otherInputs: new Map(others.map((name) => [name, inputs.get(name)!])),
    classCount,
    probabilities: gives ?? (classCount === 1 ? 'none' : 'softmax'),
    ...(translated.classes?.length === classCount && { classes: translated.classes }),
    ...(detection && { detection }),
    ...(detection && { detection }),
    ...(segmentation && { segmentation }),
    ...(head.remark !== undefined && { remark: head.remark }),
    ...((detection || isRaw) && {
      preprocessing: {
        ...head.preprocessing,
        // Exporters of detectors that name the classes are Ultralytics', whose networks all see 0 to 1.
        ...(detection && translated.classes && presets.unit),
        ...(isRaw && presets.raw),
      },
    }),
  };
}

/** A value [N, classes] of which another is a view, if there is one; else that itself. */
function rowBefore(name: string, nodes: readonly GraphNode[], shapes: ReadonlyMap<string, Shape>): string {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  let at = name;
  while (shapes.get(at)!.length !== 2) {
    const node = byName.get(at);
    if (!node?.traits.view) return name;
    at = node.inputs[0]!;
  }
  return at;
}

/** The head of a value [N], or [N, ...] of which only one axis is not 1: as [N, classes]. */
function rowHead(
  node: string,
  gives: Head['gives'],
  shapes: ReadonlyMap<string, Shape>,
  unique: (name: string) => string,
): Head {
  const shape = shapes.get(node)!;
  const head = { classCount: rowOf(shape)!, gives };
  if (shape.length === 2) return { ...head, nodes: [], output: node };
  const name = unique(`${node}.flatten`);
  const row =
    shape.length > 1
      ? layers.flatten(name, node)
      : layers.view(name, 'reshape', node, ([batch]) => [batch!, 1]);
  return { ...head, nodes: [row], output: name };
}

/** What a network that scales pixels itself maps 0 to 255 to: about -3 to 3, and some room beyond. */
const SCALED = { span: 0.25, bound: 16 } as const;
const PIXELS = [0, 51, 102, 255];

/**
 * Whether what stands before the first weights maps pixel values of 0 to 255 to about -3 to 3: then they are what goes in.
 * Followed is one path of functions of elements with numbers, single or one a channel, and of layers that move elements.
 */
function scalesItself(nodes: readonly GraphNode[], tensors: StateDict, channels: number): boolean {
  const steps: GraphNode[] = [];
  const users = usersOf(nodes);
  for (let at = INPUT; ; ) {
    const [user, ...others] = users.get(at) ?? [];
    const fits =
      user !== undefined &&
      others.length === 0 &&
      user.inputs.length === 1 &&
      Object.values(user.parameters).every(({ shape }) => [1, channels].includes(sizeOf(shape)));
    const { each, view, order, channelwise } = fits ? user.traits : {};
    if (!fits || !(each || view || order || (channelwise && Object.keys(user.parameters).length === 0)))
      break;
    if (each) steps.push(user);
    at = user.name;
  }
  const value = (pixel: number, channel: number) =>
    steps.reduce((x, { traits, parameters }) => {
      const numbers = eachParameter({ parameters }, ({ key }) => {
        const { data } = tensors.get(key)!;
        return data[data.length === 1 ? 0 : channel]!;
      });
      return traits.each!([x], numbers);
    }, pixel);
  return Array.from({ length: channels }, (_, channel) => PIXELS.map((pixel) => value(pixel, channel))).every(
    (found) => {
      const [low, high] = [found[0]!, found.at(-1)!];
      const isAffine = found.every(
        (y, i) => Math.abs(y - low - ((high - low) * PIXELS[i]!) / 255) <= 1e-4 * Math.abs(high - low),
      );
      return (
        isAffine && Math.abs(high - low) >= SCALED.span && found.every((y) => Math.abs(y) <= SCALED.bound)
      );
    },
  );
}

/** Whether a network that was read at one size is the one that `again` reads at another. */
export function isSameAt(network: Finished, again: () => Finished): boolean {
  let other: Finished;
  try {
    other = again();
    const inputs = new Map([[INPUT, other.inputShape], ...other.otherInputs]);
    const [left, right] = [network, other].map(({ graph }) => {
      const settings = graph.nodes.map(({ name, kind, attributes }) => [name, kind, attributes]);
      return JSON.stringify([settings, ...shapesFor(graph.nodes, inputs)]);
    });
    if (left !== right || network.tensors.size !== other.tensors.size) return false;
  } catch (error) {
    if (error instanceof LimelightError) return false;
    throw error;
  }
  return [...network.tensors].every(([key, { data }]) => {
    const found = other.tensors.get(key)?.data;
    if (data === found || data.length !== found?.length) return data === found;
    // Most are views of the file.
    if (data.buffer === found.buffer && data.byteOffset === found.byteOffset) return true;
    return data.every((n, i) => Object.is(n, found[i]));
  });
}
