// Makes graph nodes of an ONNX file's computations: unique names, parameters that are stored once, and each node run on
// placeholders so that its shape is known, its fit is checked, and the batch can be followed through it.

import { dryDevice, LimelightError, type Shape, type Tensor } from '../../../engine/index.ts';
import { type GraphNode, INPUT, type Parameter, type Traits } from '../../graph.ts';
import { type Constant, strided, stridesOf } from '../constant.ts';
import { FormatError } from '../errors.ts';
import { elementCount, type HostTensor } from '../host-tensor.ts';
import { naming, shapeOfNode } from '../kit.ts';
import { batchAxisOf, type Computed, isConstant, type Step, type Value } from './call.ts';

/** Far beyond every network. */
const MOST_AXES = 64;

type Operands = Step['operands'];
type Making = Pick<GraphNode, 'name' | 'inputs' | 'parameters'>;

/** Nodes and their parameters as they are made; `given` are the values that the graph begins with. */
export function nodeMaker(batch: number, given: Iterable<Value>) {
  const device = dryDevice();
  const nodes: GraphNode[] = [];
  const tensors = new Map<string, HostTensor>();
  const parameters = new Map<Constant, Parameter>();
  const computed = new Map<string, Computed>();
  const nodeNames = naming();
  const keys = naming();

  nodeNames(INPUT);
  for (const value of given) {
    if (isConstant(value)) continue;
    computed.set(value.node, value);
    if (value.node !== INPUT) nodeNames(value.node);
  }

  /** Stores a known operand, once, under its initializer's name, or else under its role's. */
  const parameterOf = (value: Constant, otherwise: string): Parameter => {
    const stored = parameters.get(value);
    if (stored) return stored;
    const { shape, data } = value.name === undefined ? withoutBatch(value, batch) : value;
    const parameter = { key: keys(value.name ?? otherwise), shape };
    const floats = data instanceof Float32Array ? data : Float32Array.from(data);
    tensors.set(parameter.key, { shape, data: floats });
    parameters.set(value, parameter);
    return parameter;
  };

  /** Adds the node that `make` gives for a name, the computed operands and the known ones, and learns its shape. */
  const place = (
    wanted: string,
    operands: Operands,
    make: (making: Making) => GraphNode,
    before?: number,
  ): Computed => {
    const name = nodeNames(wanted);
    const inputs: string[] = [];
    const stored: Record<string, Parameter> = {};
    for (const [role, value] of Object.entries(operands)) {
      if (value === undefined) continue;
      if (isConstant(value)) stored[role] = parameterOf(value, `${name}.${role}`);
      else inputs.push(value.node);
    }
    const node = make({ name, inputs, parameters: stored });
    const shapeFor = (which: 'shape' | 'twice') =>
      shapeOfNode(
        device,
        node,
        inputs.map((input) => computed.get(input)![which]),
      );
    const shape = shapeFor('shape');
    if (elementCount(shape) === undefined || shape.length > MOST_AXES) {
      throw new FormatError(
        `its result would be [${shape.join(', ')}], which no network needs; the sizes in the file do not fit one another`,
      );
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

  return {
    nodes,
    tensors,
    /** A node of a step's own operation. */
    step(name: string, step: Step): Computed {
      const { kind, attributes = {}, traits = {}, each, operands, before, type } = step;
      const said: Traits = { ...traits, ...(each && !traits.each && { each: eachOf(operands, each) }) };
      const made = place(
        name,
        operands,
        (making) => ({ ...making, kind, attributes, traits: said, run: runOf(step) }),
        before,
      );
      return type ? { ...made, type } : made;
    },
    /** A layer with its known parameters. */
    layer(
      wanted: string,
      from: readonly Computed[],
      constants: Readonly<Record<string, Constant | undefined>>,
      make: (name: string, ...inputs: string[]) => GraphNode,
    ): Computed {
      return place(
        wanted,
        { ...Object.fromEntries(from.entries()), ...constants },
        ({ name, inputs, parameters }) => ({
          ...make(name, ...inputs),
          parameters,
        }),
      );
    },
  };
}

/** A value for each operand in its order: of computed ones from the inputs, of known ones from the parameters. */
function inOrder<T>(
  operands: Operands,
  inputs: readonly T[],
  parameters: Readonly<Record<string, T>>,
): (T | undefined)[] {
  let next = 0;
  return Object.entries(operands).map(([role, value]) =>
    value === undefined ? undefined : isConstant(value) ? parameters[role] : inputs[next++],
  );
}

const runOf =
  ({ operands, device }: Step): GraphNode['run'] =>
  (inputs, { parameters }) =>
    device(...(inOrder(operands, inputs, parameters) as Tensor[]));

const eachOf =
  (operands: Operands, each: (...numbers: number[]) => number): NonNullable<Traits['each']> =>
  (inputs, parameters) =>
    each(...(inOrder(operands, inputs, parameters) as number[]));

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

/** By how much the batch's axis is longer than the batch: as in the operand whose axis it is, if an operation leaves it so. */
function inheritedBefore(operands: readonly Value[], result: Pick<Computed, 'shape' | 'twice'>): number {
  const axis = batchAxisOf(result);
  const from = operands.find(
    (value): value is Computed =>
      !isConstant(value) && value.before > 1 && value.shape[batchAxisOf(value)] === result.shape[axis],
  );
  return from?.before ?? 1;
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
