// Reverse-mode differentiation. An operation's vector-Jacobian product is itself written in operations, so it can be
// differentiated in turn, to any order. `backward` walks the tape from an output to the leaves that were asked for,
// and touches only nodes that lie between.

import { ShapeError } from './errors.ts';
import { isRecording, recording } from './operation.ts';
import { add, full } from './ops/elementwise.ts';
import { createNode, type Maker, type TapeNode } from './tape.ts';
import { alias, checkDevices, sameShape, scope, show, type Tensor, unowned } from './tensor.ts';

type Node = TapeNode<Tensor>;

/** A tensor with the same numbers that a derivative can be taken at. */
function leaf(x: Tensor): Tensor {
  // Over a tensor that is itself on a tape the leaf is an identity, so that an outer derivative passes through.
  const inputs = x.node ? [unowned(() => alias(x, x.shape, x.node))] : [];
  return alias(x, x.shape, createNode(x.node ? identity : undefined, inputs));
}

const identity: Maker<Tensor> = { name: 'identity', rule: (cotangent) => [cotangent] };

function backward(output: Tensor, cotangent: Tensor, leaves: readonly Tensor[]): (Tensor | undefined)[] {
  const wanted = new Set(leaves.map((x) => x.node!));
  const path = pathTo(output.node, wanted);
  const cotangents = new Map<Node, Tensor>();
  if (output.node) cotangents.set(output.node, cotangent);
  for (const node of path) {
    const d = cotangents.get(node);
    const { maker } = node;
    if (d === undefined || maker === undefined || wanted.has(node)) continue;
    const inputs = node.inputs.map((input) =>
      alias(input, input.shape, isRecording() ? input.node : undefined),
    );
    const result = node.result ?? inputs[0]!;
    const found = maker.rule(d, {
      inputs,
      output: alias(result, d.shape, isRecording() ? node : undefined),
      needs: node.inputs.map((input) => input.node !== undefined && path.has(input.node)),
    });
    node.inputs.forEach((input, i) => {
      const part = found[i];
      if (part === undefined || input.node === undefined || !path.has(input.node)) return;
      if (!sameShape(part.shape, input.shape)) {
        throw new ShapeError(
          `${maker.name}: its derivative rule returned ${show(part.shape)} for an input of ${show(input.shape)}`,
        );
      }
      const sum = cotangents.get(input.node);
      cotangents.set(input.node, sum === undefined ? part : add(sum, part));
    });
  }
  return leaves.map((x) => cotangents.get(x.node!));
}

/** The nodes between `from` and the wanted ones, latest first. */
function pathTo(from: Node | undefined, wanted: ReadonlySet<Node>): Set<Node> {
  const seen = new Set<Node>();
  const waiting = from ? [from] : [];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (wanted.has(node)) continue;
    for (const input of node.inputs) if (input.node) waiting.push(input.node);
  }
  const reaching = new Set<Node>();
  for (const node of [...seen].sort((a, b) => a.id - b.id)) {
    if (wanted.has(node) || node.inputs.some((input) => input.node && reaching.has(input.node)))
      reaching.add(node);
  }
  return new Set([...reaching].reverse());
}

/** A function's value at some tensors, and the map from cotangents of the value to cotangents of the tensors. */
export interface Vjp {
  /** The value; it holds the tape, so leaving the scope (or disposing it and all that `f` made) frees that. */
  readonly value: Tensor;
  /** Vector-Jacobian product, as often as wanted; `cotangent` has the value's shape. */
  readonly pullback: (cotangent: Tensor) => Tensor[];
}

/**
 * Runs `f` at `xs` and keeps what its derivative needs. Call it inside a `scope`, which frees what `f` made.
 * Inputs on which the value does not depend get zeros.
 */
export function vjp(f: (...xs: Tensor[]) => Tensor, xs: readonly Tensor[]): Vjp {
  const leaves = xs.map(leaf);
  const value = recording(() => f(...leaves));
  return {
    value,
    pullback(cotangent) {
      checkDevices('pullback', [value, cotangent]);
      if (!sameShape(cotangent.shape, value.shape)) {
        throw new ShapeError(
          `pullback: a cotangent of ${show(cotangent.shape)} for a value of ${show(value.shape)}`,
        );
      }
      return scope(() => {
        const found = backward(value, cotangent, leaves);
        return xs.map((x, i) => {
          const d = found[i];
          return d === undefined ? full(x.device, x.shape, 0) : alias(d, d.shape, d.node);
        });
      });
    },
  };
}

/** Value and gradients of a scalar function (shape [] or one element) at `xs`. */
export function valueAndGrad(
  f: (...xs: Tensor[]) => Tensor,
  xs: readonly Tensor[],
): { value: Tensor; gradients: Tensor[] } {
  return scope(() => {
    const { value, pullback } = vjp(f, xs);
    if (value.size !== 1) {
      throw new ShapeError(`grad: the function returned ${show(value.shape)}; it must return one number`);
    }
    const gradients = pullback(full(value.device, value.shape, 1));
    return { value: isRecording() ? value : alias(value), gradients };
  });
}

/** The gradient of a scalar function of one tensor, as a function; apply it again for higher orders. */
export function grad(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  return (x) => scope(() => valueAndGrad(f, [x]).gradients[0]!);
}

/** The same numbers with no derivative. */
export function stopGradient(x: Tensor): Tensor {
  return alias(x);
}
