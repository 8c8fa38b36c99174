// TensorFlow.js's graph-models: a graph of TensorFlow's operations. It is written down again in ONNX's operators, and read
// as an ONNX file is, so that there is one way from operators to layers.

import { FormatError, located } from '../errors.ts';
import { elementCount } from '../host-tensor.ts';
import type { ImportedNetwork, ReadOptions } from '../imported.ts';
import { field, isObject, type Json, quote } from '../json.ts';
import { inOrder } from '../kit.ts';
import type { GraphProto, ValueProto } from '../onnx/messages.ts';
import { readGraph } from '../onnx/read.ts';
import type { ManifestWeight } from './manifest.ts';
import { PASSES, rows } from './operators.ts';
import { OPSET, type TfNode, writer } from './writer.ts';

interface GraphModel {
  readonly topology: Json;
  readonly signature: unknown;
  readonly weights: ReadonlyMap<string, ManifestWeight>;
}

/** Far beyond every network. */
const MAX_NODES = 50_000;

/**
 * The network of a graph-model, its pictures [N, H, W, C].
 *
 * @throws {FormatError} if the graph is malformed, or uses what is not supported; all unsupported operations are listed at
 * once.
 */
export function readGraphModel(
  { topology, signature, weights }: GraphModel,
  fileName: string,
  options: ReadOptions,
): ImportedNetwork {
  const refused = (message: string) => new FormatError(`${fileName}: ${message}`);
  const list = field(topology, 'node');
  if (!Array.isArray(list) || list.length > MAX_NODES)
    throw refused(`modelTopology.node is ${quote(list)}; expected up to ${MAX_NODES} nodes`);
  const nodes = new Map(list.map((node, i) => checkNode(node, (what) => refused(`node ${i} ${what}`))));
  if (nodes.size < list.length) throw refused('two of its nodes have the same name');
  const outputs = namesIn(signature, 'outputs') ?? endsOf(nodes);
  const order = inOrder(nodes, ({ inputs }) => inputs.map(nodeName), outputs.map(nodeName), {
    missing: (name) => refused(`no node is called ${quote(name)}, whose value is taken`),
    circle: (name) => refused(`the value of ${quote(name)} depends on itself; loops are not read`),
  });
  const unknown = order.filter(({ op }) => !(rows.has(op) || PASSES.has(op) || SOURCES.has(op)));
  if (unknown.length > 0) {
    const operations = [...new Set(unknown.map(({ op }) => op))];
    const first = (wanted: string) => unknown.find(({ op }) => op === wanted)!.name;
    throw refused(
      `operations that are not supported:\n  ${operations.map((op) => `${op}: ${first(op)}`).join('\n  ')}`,
    );
  }
  const write = writer(weights);
  const inputs: ValueProto[] = [];
  for (const node of order) {
    located(`${fileName}: ${node.op} "${node.name}"`, () => {
      if (node.op === 'Const') write.constant(node.name);
      else if (SOURCES.has(node.op)) inputs.push(write.input(node, shapeOf(node, signature)));
      else if (PASSES.has(node.op)) write.pass(node);
      else rows.get(node.op)!(node, write);
    });
  }
  const graph: GraphProto = {
    nodes: write.nodes,
    initializers: write.initializers,
    inputs,
    outputs: outputs.map((name) => ({ name: write.last(name) })),
  };
  const setting = { opsets: new Map([['', OPSET]]), functions: new Map(), parts: new Map() };
  return readGraph({ graph, setting, classes: undefined }, fileName, options);
}

/** What goes in. */
const SOURCES: ReadonlySet<string> = new Set(['Placeholder', 'PlaceholderWithDefault', 'Const']);

function checkNode(node: unknown, refuse: (what: string) => FormatError): [string, TfNode] {
  const [name, op] = isObject(node) ? [field(node, 'name'), field(node, 'op')] : [];
  if (typeof name !== 'string' || typeof op !== 'string') throw refuse(`is ${quote(node)}`);
  const input = field(node as Json, 'input') ?? [];
  const attributes = field(node as Json, 'attr') ?? {};
  const isList = Array.isArray(input) && input.every((one) => typeof one === 'string');
  if (!isList || !isObject(attributes)) throw refuse(`has inputs ${quote(input)}`);
  // Names that begin with ^ say what must run before, which is no value.
  const values = (input as string[]).filter((one) => !one.startsWith('^')).map(valueName);
  return [name, { name, op, inputs: values, attributes }];
}

/** The first output of a node is called as the node is. */
const valueName = (name: string): string => name.replace(/:0$/, '');
const nodeName = (value: string): string => value.replace(/:\d+$/, '');

/** The tensors that a signature names. */
function tensorsIn(signature: unknown, side: 'inputs' | 'outputs'): Json[] {
  const named = isObject(signature) ? field(signature, side) : undefined;
  return isObject(named) ? Object.values(named).filter(isObject) : [];
}

function namesIn(signature: unknown, side: 'inputs' | 'outputs'): string[] | undefined {
  const names = tensorsIn(signature, side).map((one) => field(one, 'name'));
  const texts = names.filter((name) => typeof name === 'string').map(valueName);
  return texts.length > 0 ? [...new Set(texts)] : undefined;
}

/** Nodes whose values nobody takes. */
function endsOf(nodes: ReadonlyMap<string, TfNode>): string[] {
  const taken = new Set([...nodes.values()].flatMap(({ inputs }) => inputs.map(nodeName)));
  return [...nodes.values()]
    .filter(({ name, op }) => !taken.has(name) && !SOURCES.has(op) && op !== 'NoOp')
    .map(({ name }) => name);
}

/** The shape of an input, from the signature or the node; what is open is undefined. */
function shapeOf(node: TfNode, signature: unknown): (number | undefined)[] | undefined {
  const said = tensorsIn(signature, 'inputs').find(
    (one) => valueName(String(field(one, 'name'))) === node.name,
  );
  const ofNode = field(node.attributes, 'shape');
  const found =
    (said && field(said, 'tensorShape')) ?? (isObject(ofNode) ? field(ofNode, 'shape') : undefined);
  const dimensions = isObject(found) ? field(found, 'dim') : undefined;
  if (!Array.isArray(dimensions)) return undefined;
  return dimensions.map((one) => {
    const size = isObject(one) ? Number(field(one, 'size')) : Number.NaN;
    return elementCount([size]) !== undefined && size > 0 ? size : undefined;
  });
}
