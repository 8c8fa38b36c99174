// Reverse-mode differentiation. An operation's vector-Jacobian product is itself written in operations, so it can be
// differentiated in turn, to any order. `pullback` walks the tape from outputs to the tensors that were asked for, and
// touches only nodes that lie between.
//
// There is no forward mode. It would need a second rule for every operation, or be made of two reverse passes: the
// derivative of a pullback in its cotangent. Where each row of a batch is differentiated by one number, reverse mode gives
// every row's derivative as well, since the gradient of the sum of the rows is the vector of them; and `derivatives` saves
// what costs most there, computing each order anew. Measured on llvmpipe, three orders along 48 elements of the last feature
// map of digit-scenes take 14 ms by it, 43 ms forward over reverse and 104 ms forward alone; along 32 of digit-vit's 1.8, 3.8
// and 4.6 s.

import { ScopeError, ShapeError } from './errors.ts';
import { isRecording, recording } from './operation.ts';
import { add, full } from './ops/elementwise.ts';
import { createNode, type Maker, type TapeNode } from './tape.ts';
import { alias, assertSynchronous, checkDevices, sameShape, scope, show, Tensor, unowned } from './tensor.ts';

type Node = TapeNode<Tensor>;

/** A tensor with the same numbers that a derivative can be taken at. */
export function leaf(x: Tensor): Tensor {
  // Over a tensor that is itself on a tape the leaf is an identity, so that an outer derivative passes through.
  const inputs = x.node ? [unowned(() => alias(x, x.shape, x.node))] : [];
  return alias(x, x.shape, createNode(x.node ? identity : undefined, inputs));
}

const identity: Maker<Tensor> = { name: 'identity', rule: (cotangent) => [cotangent] };

/**
 * The cotangents of tensors from those of outputs that were computed from them while recording: of leaves, and of what was
 * made of those on the way. Undefined where no output depends on a tensor. An output without a cotangent is left out.
 */
export function pullback(
  outputs: readonly (readonly [output: Tensor, cotangent: Tensor | undefined])[],
  at: readonly Tensor[],
): (Tensor | undefined)[] {
  const given = outputs.filter((pair): pair is readonly [Tensor, Tensor] => pair[1] !== undefined);
  for (const [output, cotangent] of given) {
    checkDevices('pullback', [output, cotangent]);
    if (sameShape(cotangent.shape, output.shape)) continue;
    throw new ShapeError(
      `pullback: a cotangent of ${show(cotangent.shape)} for a value of ${show(output.shape)}`,
    );
  }
  return scope(() => {
    const cotangents = new Map<Node, Tensor>();
    const give = ({ node }: Tensor, part: Tensor) => {
      if (node === undefined) return;
      const sum = cotangents.get(node);
      cotangents.set(node, sum === undefined ? part : add(sum, part));
    };
    for (const [output, cotangent] of given) give(output, cotangent);
    const path = pathTo([...cotangents.keys()], new Set(at.map((x) => x.node!)));
    for (const node of path) {
      const d = cotangents.get(node);
      const { maker } = node;
      if (d === undefined || maker === undefined) continue;
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
        give(input, part);
      });
    }
    return at.map((x) => {
      const d = cotangents.get(x.node!);
      return d && alias(d, d.shape, d.node);
    });
  });
}

/** The nodes between some and the wanted ones, latest first. */
function pathTo(from: readonly Node[], wanted: ReadonlySet<Node>): Set<Node> {
  const seen = new Set<Node>();
  const waiting = [...from];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
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
 *
 * @throws {ScopeError} where f is asynchronous or returns no tensor.
 */
export function vjp(f: (...xs: Tensor[]) => Tensor, xs: readonly Tensor[]): Vjp {
  assertSynchronous('grad', f);
  const leaves = xs.map(leaf);
  const value = recording(() => f(...leaves));
  if (!(value instanceof Tensor)) {
    if ((value as unknown) instanceof Promise) (value as Promise<unknown>).catch(() => undefined);
    throw new ScopeError('grad: the function must return a tensor, not a promise or something else');
  }
  return {
    value,
    pullback: (cotangent) =>
      scope(() =>
        pullback([[value, cotangent]], leaves).map((d, i) => d ?? full(value.device, xs[i]!.shape, 0)),
      ),
  };
}

/**
 * Value and gradients of a scalar function (shape [] or one element) at `xs`; a gradient has the shape of its x.
 *
 * @throws {ShapeError} where f returns more than one number.
 * @throws {ScopeError} where it is asynchronous or returns no tensor.
 */
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

/** The gradient of a scalar function of one tensor, as a function; apply it again for higher orders. Throws as `valueAndGrad`. */
export function grad(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  return (x) => scope(() => valueAndGrad(f, [x]).gradients[0]!);
}

/**
 * f(t), f'(t), f''(t) and so on up to an order, each [N]: along a line, or N lines at once, of a function whose rows do not
 * depend on one another. Each order is computed from the one before.
 *
 * @throws {ShapeError} where f does not return [N] for t [N].
 */
export function derivatives(f: (t: Tensor) => Tensor, t: Tensor, order: number): Tensor[] {
  if (order === 0) return [checked(f(t), t)];
  return scope(() => {
    const at = leaf(t);
    const found = recording(() => derivatives(f, at, order - 1));
    const [next] = pullback([[found.at(-1)!, full(t.device, t.shape, 1)]], [at]);
    const all = [...found, next ?? full(t.device, t.shape, 0)];
    return isRecording() ? all : all.map((one) => alias(one));
  });
}

function checked(value: Tensor, { shape }: Tensor): Tensor {
  if (sameShape(value.shape, shape)) return value;
  throw new ShapeError(
    `derivatives: the function returned ${show(value.shape)} for numbers ${show(shape)}; it must return one for each`,
  );
}

/** The same numbers with no derivative. */
export function stopGradient(x: Tensor): Tensor {
  return alias(x);
}
