// From ONNX nodes to the nodes of Limelight's graph. The file's nodes are walked in order: what is known is folded,
// everything else becomes a graph node (nodes.ts).

import type { GraphNode } from '../../graph.ts';
import { grouped } from '../../grouped.ts';
import { type Constant, map } from '../constant.ts';
import { FormatError, located } from '../errors.ts';
import type { StateDict } from '../host-tensor.ts';
import { attributesOf, type Call, isConstant, type Step, type Value } from './call.ts';
import {
  blank,
  type FunctionProto,
  type GraphProto,
  graphsIn,
  type NodeProto,
  type TensorProto,
} from './messages.ts';
import { nodeMaker } from './nodes.ts';
import { operators } from './operators.ts';
import { type Parts, readTensor } from './tensors.ts';

/**
 * The last version of ONNX's operators that is read, and that of a function that names none, as none of its nodes is one of
 * them. Older ones than 7 are where they mean the same.
 */
export const LAST_OPSET = 28;

/** What became of a file's nodes. */
export interface Imported {
  readonly nodes: readonly GraphNode[];
  readonly tensors: StateDict;
  /** The value behind each of the file's names, or why there is none. */
  readonly values: ReadonlyMap<string, Held>;
  /** The nodes of all values that a choice is made among. */
  readonly among: ReadonlySet<string>;
}

/** A value; or, of what a choice gives that depends on the picture and of all that is made of it, why it is none. */
type Held = Value | FormatError;

/** Operators that choose among what is in the picture: how much they give, or of what, is not known beforehand. */
const CHOOSES = /NonMaxSuppression|NMS|^NonZero$|^TopK$/;
const CHOOSES_BOXES = /NonMaxSuppression|NMS/;
const WITHOUT_CHOICE =
  ". Limelight chooses among a detector's boxes itself, but no boxes as YOLO's stand in front of this node: export the " +
  "network without it, so that it gives all boxes (Ultralytics: format='onnx' without nms=True; YOLOv5's and v7's " +
  'export.py: without --nms, --end2end, --include-nms)';

const choice = (node: NodeProto): FormatError =>
  new FormatError(
    `node "${nameOf(node)}" (${node.operator}): what it chooses depends on the picture, and nothing behind such a choice can ` +
      `be explained${CHOOSES_BOXES.test(node.operator) ? WITHOUT_CHOICE : ''}`,
  );

/** Versions of the operator sets that nodes are written in, by domain; "" is ONNX's own. */
export type Opsets = ReadonlyMap<string, number>;

/** Numbers that folding may touch for each number of the file's tensors; `Allowance` has those for any file. */
const FOLDED_EACH = 4;

/** Far beyond every network, and little enough work. */
const LIMITS = { nodes: 20_000, inputs: 4_096, functions: 32 } as const;

/** What reading one file may still take, however often its graph is walked to find a size that it takes. */
export interface Allowance {
  /** Numbers that folding touches. */
  folded: number;
  /** Nodes that are walked. */
  nodes: number;
}
export const allowanceOfFile = (): Allowance => ({ folded: 2 ** 24, nodes: 3 * LIMITS.nodes });

/** ONNX's own operators; every other set is someone's extension. */
export const isStandard = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

/** The name of a node's operator in the table, with the domain of an extension. */
const operatorOf = ({ domain, operator }: Pick<NodeProto, 'domain' | 'operator'>): string =>
  isStandard(domain) ? operator : `${domain}.${operator}`;

/** A file's functions by their operators. */
export type Functions = ReadonlyMap<string, FunctionProto>;

export const functionsOf = (functions: readonly FunctionProto[]): Functions =>
  new Map(functions.map((one) => [operatorOf({ ...one, operator: one.name }), one]));

/** Refuses what is not supported, all of it at once. */
export function checkOperators(graph: GraphProto, functions: Functions = new Map()): void {
  const bodies = [graph, ...[...functions.values()].map((one) => ({ ...blank('Graph'), nodes: one.nodes }))];
  const nodes = bodies.flatMap(graphsIn).flatMap((one) => one.nodes);
  const longest = nodes.reduce((most, node) => Math.max(most, node.inputs.length), 0);
  if (nodes.length > LIMITS.nodes || longest > LIMITS.inputs) {
    throw new FormatError(
      `it has ${nodes.length} nodes of up to ${longest} inputs; ${LIMITS.nodes} of ${LIMITS.inputs} are read`,
    );
  }
  // What is made of a choice is not read.
  const chosen = new Set<string>();
  const read = nodes.filter((node) => {
    const isChosen = CHOOSES.test(operatorOf(node)) || node.inputs.some((name) => chosen.has(name));
    if (isChosen) for (const name of node.outputs) if (name !== '') chosen.add(name);
    return !isChosen;
  });
  const named = read.map((node) => [operatorOf(node), nameOf(node)] as const);
  const unknown = grouped(named.filter(([operator]) => !functions.has(operator) && !operators.has(operator)));
  if (unknown.size === 0) return;
  const lines = [...unknown].map(([operator, names]) => {
    const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
    return `${operator}: ${names.slice(0, 5).join(', ')}${more}`;
  });
  throw new FormatError(`operators that are not supported:\n  ${lines.join('\n  ')}`);
}

const nameOf = (node: NodeProto) => node.name || node.outputs.find((name) => name !== '') || node.operator;

/** Counts the numbers that folding touches, so that no file asks for the world. */
function budget(allowance: Allowance) {
  let earned = 0;
  const charge = (count: number) => {
    earned -= count;
    if (earned >= 0) return;
    allowance.folded += earned;
    earned = 0;
    // NaN is less than nothing too.
    if (!(allowance.folded >= 0))
      throw new FormatError(
        'what does not depend on the picture takes more arithmetic than any network needs; the file is damaged, or made to take long',
      );
  };
  const fold = (f: () => Constant, from: readonly Constant[]): Constant => {
    charge(from.reduce((sum, { data }) => sum + data.length, 0));
    const result = f();
    charge(result.data.length);
    return result;
  };
  const earn = (count: number) => {
    earned += count;
  };
  return { charge, fold, earn };
}

/** What all graphs of a file are walked with. */
interface Walk {
  readonly functions: Functions;
  readonly batch: number;
  readonly parts: Parts;
  readonly made: ReturnType<typeof nodeMaker>;
  readonly budget: ReturnType<typeof budget>;
  readonly among: Set<string>;
  /** Nodes that may still be walked. */
  left: number;
}

/** What names mean inside a graph: a branch sees the graph around it, a function's body its inputs alone. */
interface Scope {
  readonly walk: Walk;
  readonly values: Map<string, Held>;
  readonly initializers: ReadonlyMap<string, TensorProto>;
  readonly opsets: Opsets;
  readonly around?: Scope;
  /** Attributes of the call, for a function's body. */
  readonly attributes?: NodeProto['attributes'];
  /** The calling node's name, which begins those of the body's. */
  readonly prefix: string;
  readonly depth: number;
}

/** Walks a graph. `given` holds the values of its inputs; initializers are read from the graph and `parts`. */
export function importNodes(
  graph: GraphProto,
  setting: {
    readonly opsets: Opsets;
    readonly functions?: Functions;
    readonly batch: number;
    readonly given: ReadonlyMap<string, Value>;
    readonly parts: Parts;
    readonly allowance: Allowance;
  },
): Imported {
  const { opsets, functions = new Map(), batch, given, parts, allowance } = setting;
  const made = nodeMaker(batch, given.values());
  const whole: Scope = {
    walk: {
      functions,
      batch,
      parts,
      made,
      budget: budget(allowance),
      among: new Set(),
      left: LIMITS.nodes,
    },
    values: new Map<string, Held>(given),
    initializers: initializersOf(graph),
    opsets,
    prefix: '',
    depth: 0,
  };
  for (const node of graph.nodes) enter(whole, node);
  return { nodes: made.nodes, tensors: made.tensors, values: whole.values, among: whole.walk.among };
}

const initializersOf = ({ initializers }: GraphProto) =>
  new Map(initializers.map((proto) => [proto.name, proto]));

const isTaken = (scope: Scope | undefined, name: string): boolean =>
  scope !== undefined &&
  (scope.values.has(name) || scope.initializers.has(name) || isTaken(scope.around, name));

function lookUp(scope: Scope, name: string): Held {
  const found = scope.values.get(name);
  if (found) return found;
  const proto = scope.initializers.get(name);
  if (proto !== undefined) {
    const { parts, budget } = scope.walk;
    const value = readTensor(proto, parts);
    budget.earn(FOLDED_EACH * value.data.length);
    scope.values.set(name, value);
    return value;
  }
  if (scope.around) return lookUp(scope.around, name);
  throw new FormatError(`it takes "${name}", which no node before it gives and no initializer holds`);
}

/** Builds a node and names its values. */
function enter(scope: Scope, node: NodeProto): void {
  located(`node "${nameOf(node)}" (${node.operator})`, () => {
    if (--scope.walk.left < 0) throw new FormatError(`the file has more than ${LIMITS.nodes} nodes`);
    const results = build(scope, node);
    node.outputs.forEach((name, i) => {
      if (name === '') return;
      if (isTaken(scope, name)) throw new FormatError(`"${name}" is given twice`);
      const value = results[i];
      if (value === undefined) throw new FormatError(`its output ${i}, "${name}", is not supported`);
      scope.values.set(name, value);
    });
  });
}

function build(scope: Scope, node: NodeProto): readonly (Held | undefined)[] {
  const operator = operatorOf(node);
  const given = node.inputs.map((name) => (name === '' ? undefined : lookUp(scope, name)));
  const inputs = given.filter((one): one is Value | undefined => !(one instanceof FormatError));
  const computed = inputs.flatMap((one) => (one && !isConstant(one) ? [one.node] : []));
  const lacking = given.find((one) => one instanceof FormatError);
  const reason = lacking ?? (CHOOSES.test(operator) && computed.length > 0 ? choice(node) : undefined);
  if (reason) {
    for (const name of computed) scope.walk.among.add(name);
    return node.outputs.map(() => reason);
  }
  const body = scope.walk.functions.get(operator);
  if (body) return inlined(scope, node, body, inputs);
  const builder = operators.get(operator);
  if (builder === undefined) throw new FormatError('the operator is not supported');
  return [builder(callOf(scope, node, scope.prefix + nameOf(node), inputs))].flat();
}

/** The outputs of a graph inside a node. */
function inside(scope: Scope, inner: GraphProto): readonly Value[] {
  const initializers = initializersOf(inner);
  for (const name of initializers.keys()) {
    if (isTaken(scope, name)) throw new FormatError(`"${name}" is given twice`);
  }
  const within = { ...scope, values: new Map(), initializers, around: scope };
  for (const node of inner.nodes) enter(within, node);
  return inner.outputs.map(({ name }) => {
    const found = lookUp(within, name);
    if (found instanceof FormatError) throw found;
    return found;
  });
}

/** A function's body in place of its call. */
function inlined(
  scope: Scope,
  node: NodeProto,
  body: FunctionProto,
  inputs: readonly (Value | undefined)[],
): readonly (Held | undefined)[] {
  if (scope.depth >= LIMITS.functions) throw new FormatError('functions call each other without end');
  const within: Scope = {
    walk: scope.walk,
    values: new Map(),
    initializers: new Map(),
    opsets: new Map(body.opsets.map(({ domain, version }) => [isStandard(domain) ? '' : domain, version])),
    attributes: [...attributesOf(node, scope.attributes).all, ...body.defaults],
    prefix: `${scope.prefix}${nameOf(node)}/`,
    depth: scope.depth + 1,
  };
  body.inputs.forEach((name, i) => {
    const value = inputs[i];
    if (value) within.values.set(name, value);
  });
  for (const one of body.nodes) enter(within, one);
  return body.outputs.map((name) => within.values.get(name));
}

/** What a node's builder is given; nodes that it makes are called `wanted`. */
function callOf(scope: Scope, node: NodeProto, wanted: string, inputs: readonly (Value | undefined)[]): Call {
  const { batch, parts, made, budget } = scope.walk;
  const attributes = attributesOf(node, scope.attributes);
  return {
    ...attributes,
    operator: node.operator,
    opset: scope.opsets.get('') ?? LAST_OPSET,
    batch,
    inputs,
    outputs: node.outputs.length,
    wants: (output) => (node.outputs[output] ?? '') !== '',
    optional: (index) => inputs[index],
    input(index) {
      const value = inputs[index];
      if (value) return value;
      throw new FormatError(`its input ${index} is missing`);
    },
    constant(index) {
      const value = inputs[index];
      if (value === undefined || isConstant(value)) return value;
      throw new FormatError(
        `its input ${index}, "${node.inputs[index]}", depends on the picture; it must be known when the file is read. ` +
          'Export the network for one size of picture, or simplify the file: onnxsim in.onnx out.onnx',
      );
    },
    tensor(name) {
      const proto = attributes.attribute(name)?.tensor;
      return proto && readTensor({ ...proto, name: '' }, parts);
    },
    apply(step) {
      const operands = Object.values(step.operands).filter((value) => value !== undefined);
      const folded = foldOf(step);
      if (folded && operands.every(isConstant)) return budget.fold(() => folded(...operands), operands);
      return made.step(step.part === undefined ? wanted : `${wanted}.${step.part}`, step);
    },
    fold: (f, ...from) => budget.fold(f, from),
    charge: budget.charge,
    walk: (inner) => inside(scope, inner),
    layer: (from, parameters, make) => made.layer(wanted, from, parameters, make),
    part: (name, ...others) => callOf(scope, node, `${wanted}.${name}`, others),
  };
}

/** How a step is folded, if it can be. */
const foldOf = ({ fold, each, type }: Step): Step['fold'] =>
  fold ?? (each && ((...constants) => map(type ?? constants[0]!.type, each, ...constants)));
