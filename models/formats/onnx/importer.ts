// From ONNX nodes to the nodes of Limelight's graph. The file's nodes are walked in order: what is known is folded,
// everything else becomes a graph node, run once on placeholders so that its shape is known and its fit is checked.

import {
  dryDevice,
  LimelightError,
  placeholder,
  type Shape,
  scope,
  type Tensor,
} from '../../../engine/index.ts';
import { type GraphNode, INPUT, type Parameter } from '../../graph.ts';
import { traitsOf } from '../../layers.ts';
import { FormatError } from '../errors.ts';
import { elementCount, type HostTensor } from '../host-tensor.ts';
import {
  attributesOf,
  batchAxisOf,
  type Call,
  type Computed,
  isConstant,
  type Step,
  type Value,
} from './call.ts';
import { type Constant, strided, stridesOf } from './constant.ts';
import { type GraphProto, graphsIn, type NodeProto } from './messages.ts';
import { operators } from './operators.ts';
import { type Parts, readTensor } from './tensors.ts';

/** What became of a file's nodes. */
export interface Imported {
  readonly nodes: readonly GraphNode[];
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** The value behind each of the file's names. */
  readonly values: ReadonlyMap<string, Value>;
}

/** Numbers that folding a file may touch, beside some for each number of its tensors. */
const FOLDED = 2 ** 26;
const FOLDED_EACH = 4;

/** Far beyond every network, and little enough work. */
const LIMITS = { nodes: 50_000, inputs: 4_096, axes: 64 } as const;

/** ONNX's own operators; every other set is someone's extension. */
export const isStandard = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

/** Refuses what is not supported, all of it at once. */
export function checkOperators(graph: GraphProto): void {
  const nodes = graphsIn(graph).flatMap((one) => one.nodes);
  const longest = nodes.reduce((most, node) => Math.max(most, node.inputs.length), 0);
  if (nodes.length > LIMITS.nodes || longest > LIMITS.inputs) {
    throw new FormatError(
      `it has ${nodes.length} nodes of up to ${longest} inputs; ${LIMITS.nodes} of ${LIMITS.inputs} are read`,
    );
  }
  const unknown = new Map<string, string[]>();
  for (const node of nodes) {
    if (isStandard(node.domain) && operators.has(node.operator)) continue;
    const operator = isStandard(node.domain) ? node.operator : `${node.domain}.${node.operator}`;
    const names = unknown.get(operator) ?? [];
    unknown.set(operator, names);
    names.push(nameOf(node));
  }
  if (unknown.size === 0) return;
  const lines = [...unknown].map(([operator, names]) => {
    const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
    return `${operator}: ${names.slice(0, 5).join(', ')}${more}`;
  });
  throw new FormatError(`operators that are not supported:\n  ${lines.join('\n  ')}`);
}

const nameOf = (node: NodeProto) => node.name || node.outputs.find((name) => name !== '') || node.operator;

/** Walks a graph. `given` holds the values of its inputs; initializers are read from the graph and `parts`. */
export function importNodes(
  graph: GraphProto,
  setting: {
    readonly opset: number;
    readonly batch: number;
    readonly given: ReadonlyMap<string, Value>;
    readonly parts: Parts;
  },
): Imported {
  const { opset, batch, given, parts } = setting;
  const device = dryDevice();
  const nodes: GraphNode[] = [];
  const tensors = new Map<string, HostTensor>();
  const parameters = new Map<Constant, Parameter>();
  const values = new Map(given);
  const computed = new Map<string, Computed>();
  const nodeNames = naming();
  const keys = naming();
  let allowance = FOLDED;

  nodeNames(INPUT);
  for (const value of given.values()) {
    if (isConstant(value)) continue;
    computed.set(value.node, value);
    if (value.node !== INPUT) nodeNames(value.node);
  }

  const charge = (count: number) => {
    allowance -= count;
    if (!(allowance >= 0)) throw new FormatError('more numbers would be folded than any network needs');
  };

  const fold = (f: () => Constant, from: readonly Constant[]): Constant => {
    charge(from.reduce((sum, { data }) => sum + data.length, 0));
    const result = f();
    charge(result.data.length);
    return result;
  };

  /** Stores a known operand, once, under its initializer's name, or else under its role's. */
  const parameterOf = (value: Constant, otherwise: string): Parameter => {
    const stored = parameters.get(value);
    if (stored) return stored;
    const { shape, data } = value.name === undefined ? withoutBatch(value, batch) : value;
    const parameter = { key: keys(value.name ?? otherwise), shape };
    tensors.set(parameter.key, {
      shape,
      data: data instanceof Float32Array ? data : Float32Array.from(data),
    });
    parameters.set(value, parameter);
    return parameter;
  };

  type Operands = Step['operands'];
  type Making = Pick<GraphNode, 'name' | 'inputs' | 'parameters'>;

  /** Adds the node that `make` gives for a name, the computed operands and the known ones, and learns its shape. */
  const compute = (
    wanted: string,
    operands: Operands,
    make: (own: Making) => GraphNode,
    before?: number,
  ): Computed => {
    const name = nodeNames(wanted);
    const inputs: string[] = [];
    const own: Record<string, Parameter> = {};
    for (const [role, value] of Object.entries(operands)) {
      if (value === undefined) continue;
      if (isConstant(value)) own[role] = parameterOf(value, `${name}.${role}`);
      else inputs.push(value.node);
    }
    const node = make({ name, inputs, parameters: own });
    const shapeFor = (batch: 'shape' | 'twice'): Shape =>
      scope(() => {
        const known = Object.entries(own).map(([role, p]) => [role, placeholder(device, p.shape)]);
        return node.run(
          inputs.map((input) => placeholder(device, computed.get(input)![batch])),
          { parameters: Object.fromEntries(known) as Record<string, Tensor> },
        ).shape;
      });
    const shape = shapeFor('shape');
    if (elementCount(shape) === undefined || shape.length > LIMITS.axes) {
      throw new FormatError(`its result would be [${shape.join(', ')}]`);
    }
    const twice = shapeForTwice(() => shapeFor('twice'));
    nodes.push(node);
    const values = Object.values(operands).filter((value) => value !== undefined);
    const made = {
      type: values[0]?.type ?? 'float',
      shape,
      twice,
      before: before ?? inheritedBefore(values, { shape, twice }),
      node: name,
    };
    computed.set(name, made);
    return made;
  };

  /** Runs a step's operation on its operands in their order. */
  const runStep =
    ({ operands, device: operation }: Step): GraphNode['run'] =>
    (inputs, { parameters }) => {
      let next = 0;
      const tensorsIn = Object.entries(operands).map(([role, value]) =>
        value === undefined ? undefined : isConstant(value) ? parameters[role] : inputs[next++],
      );
      return operation(...(tensorsIn as Tensor[]));
    };

  const initializers = new Map(graph.initializers.map((proto) => [proto.name, proto]));
  const lookUp = (name: string): Value => {
    const known = values.get(name);
    if (known) return known;
    const proto = initializers.get(name);
    if (proto === undefined) {
      throw new FormatError(`it takes "${name}", which no node before it gives and no initializer holds`);
    }
    const value = readTensor(proto, parts);
    allowance += FOLDED_EACH * value.data.length;
    values.set(name, value);
    return value;
  };

  const build = (node: NodeProto): readonly Value[] => {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : lookUp(name)));
    const attributes = attributesOf(node);
    const call: Call = {
      ...attributes,
      operator: node.operator,
      opset,
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
      known(index) {
        const value = inputs[index];
        if (value === undefined || isConstant(value)) return value;
        throw new FormatError(
          `its input ${index}, "${node.inputs[index]}", depends on the picture; it must be known when the file is read`,
        );
      },
      tensor(name) {
        const proto = attributes.attribute(name)?.tensor;
        return proto && readTensor({ ...proto, name: '' }, parts);
      },
      apply(step) {
        const operands = Object.values(step.operands).filter((value) => value !== undefined);
        if (step.fold === undefined || !operands.every(isConstant)) {
          const wanted = step.part === undefined ? nameOf(node) : `${nameOf(node)}.${step.part}`;
          const { kind, attributes = {} } = step;
          const make = (own: Making): GraphNode => ({
            ...own,
            kind,
            attributes,
            run: runStep(step),
            traits: traitsOf[kind] ?? {},
          });
          const made = compute(wanted, step.operands, make, step.before);
          return step.type ? { ...made, type: step.type } : made;
        }
        return fold(() => step.fold!(...operands), operands);
      },
      fold: (f, ...from) => fold(f, from),
      charge,
      walk: inside,
      layer: (from, own, make) =>
        compute(
          nameOf(node),
          { ...Object.fromEntries(from.entries()), ...own },
          ({ name, inputs, parameters }) => {
            return { ...make(name, ...inputs), parameters };
          },
        ),
    };
    const built = operators.get(node.operator)!(call);
    return Array.isArray(built) ? built : [built as Value];
  };

  const enter = (node: NodeProto) => {
    try {
      const results = build(node);
      node.outputs.forEach((name, i) => {
        if (name === '') return;
        if (values.has(name) || initializers.has(name)) throw new FormatError(`"${name}" is given twice`);
        const value = results[i];
        if (value === undefined) throw new FormatError(`its output ${i}, "${name}", is not supported`);
        values.set(name, value);
      });
    } catch (cause) {
      // A RangeError is an array too long to make: the file asks for one.
      if (!(cause instanceof LimelightError || cause instanceof RangeError)) throw cause;
      throw new FormatError(`node "${nameOf(node)}" (${node.operator}): ${cause.message}`, { cause });
    }
  };

  /** Graphs beside each other may use the same names, so these are forgotten. */
  const inside: Call['walk'] = (inner) => {
    for (const proto of inner.initializers) {
      if (values.has(proto.name) || initializers.has(proto.name)) {
        throw new FormatError(`"${proto.name}" is given twice`);
      }
      initializers.set(proto.name, proto);
    }
    inner.nodes.forEach(enter);
    const results = inner.outputs.map(({ name }) => lookUp(name));
    for (const name of inner.nodes.flatMap((node) => node.outputs)) values.delete(name);
    for (const { name } of inner.initializers) {
      initializers.delete(name);
      values.delete(name);
    }
    return results;
  };

  graph.nodes.forEach(enter);
  return { nodes, tensors, values };
}

/** A shape for twice the batch; what does not run so cannot be explained. */
function shapeForTwice(shape: () => Shape): Shape {
  try {
    return shape();
  } catch (cause) {
    if (!(cause instanceof LimelightError)) throw cause;
    throw new FormatError(
      `it cannot take several pictures at once, which the methods need: ${cause.message}. Export the network with a ` +
        `batch that may vary (a dynamic first axis)`,
      { cause },
    );
  }
}

/** An axis that an operation leaves as it is holds beside the batch what it held before. */
function inheritedBefore(operands: readonly Value[], result: Pick<Computed, 'shape' | 'twice'>): number {
  const axis = batchAxisOf(result);
  const from = operands.find(
    (value): value is Computed =>
      !isConstant(value) && value.before > 1 && value.shape[batchAxisOf(value)] === result.shape[axis],
  );
  return from?.before ?? 1;
}

/** Makes names unique by counting on: name, name_2, name_3, … */
function naming(): (wanted: string) => string {
  const taken = new Map<string, number>();
  return (wanted) => {
    let count = taken.get(wanted) ?? 0;
    let name = wanted;
    while (taken.has(name)) name = `${wanted}_${++count + 1}`;
    taken.set(wanted, count);
    taken.set(name, taken.get(name) ?? 0);
    return name;
  };
}

/** A folded constant that repeats itself over the batch, once: it meets any batch by broadcasting. */
function withoutBatch(value: Constant, batch: number): Constant {
  if (batch === 1) return value;
  const axis = value.shape.indexOf(batch);
  if (axis < 0) return value;
  const shape = value.shape.map((n, i) => (i === axis ? 1 : n));
  const strides = stridesOf(value.shape);
  const once = strided(value, shape, strides);
  const again = strided(
    once,
    value.shape,
    stridesOf(shape).map((stride, i) => (i === axis ? 0 : stride)),
  );
  return again.data.every((n, i) => n === value.data[i]) ? once : value;
}
