// A method's map as a function of the picture, which can be differentiated: by how much a map changes with the picture,
// what would change it, or a loss on it while a network is trained.

import { grad, mul, scale, scope, sqrt, sum, type Tensor } from '../engine/index.ts';
import { INPUT } from '../models/graph.ts';
import { run } from '../models/run.ts';
import { normal, random } from '../models/train/data/random.ts';
import { MethodError } from './errors.ts';
import { unit } from './map.ts';
import { isSteps, type Method } from './method.ts';
import { tensorOf } from './numbers.ts';
import { scoreOf, type Target } from './target.ts';
import { logit } from './targets.ts';
import type { Trace, TracedLayer } from './trace.ts';

/** What of a trace becomes a function; everything but the class may be left out. */
export interface MapFunctionOptions {
  readonly classIndex: number;
  /** The class's logit when left out. */
  readonly target?: Target;
  /** The trace's first layer when left out. */
  readonly layer?: string;
}

/**
 * The map M [h, w] of a method, before ReLU, as a function of the picture [1, C, H, W]: made of differentiable operations,
 * so that `grad` of what is made of it is exact. Other inputs stay as the trace has them. Call it in a `scope`.
 *
 * @throws {MethodError} of a method that reads or keeps numbers on its way, or derives by other rules: no derivative goes
 * through it.
 */
export function mapFunction(
  trace: Trace,
  method: Method,
  { classIndex, target = logit(classIndex), layer }: MapFunctionOptions,
): (picture: Tensor) => Tensor {
  const { network } = trace;
  const others = (network.graph.inputs ?? [INPUT]).filter((name) => name !== INPUT);
  const fixed = others.map((name) => [name, trace.value(name)] as const);
  const refuse = (): never => {
    throw new MethodError(
      `${method.name} reads or keeps numbers on its way, or derives by other rules, so that its map is no function to ` +
        'differentiate; choose a method that is made of gradients and sums, such as grad-cam',
    );
  };
  return (picture) => {
    const value = (node: string) => run(network, new Map([...fixed, [INPUT, picture]]), [node]).get(node)!;
    const vary: Trace['vary'] = (versions, names, rules) =>
      rules ? refuse() : trace.vary(new Map([[INPUT, picture], ...versions]), names);
    /** A layer seen from the picture: nothing of what the trace has computed is used. */
    const at = (named?: string): TracedLayer => {
      const seen = trace.at(named);
      const output = value(seen.layer);
      const featureMap = seen.view.toMap(output);
      const score: TracedLayer['score'] = (of, maps, rules) =>
        scoreOf(of, vary(new Map([[seen.layer, seen.view.fromMap(maps, output)]]), undefined, rules));
      return {
        ...seen,
        trace: live,
        featureMap,
        outputFor: (maps) => seen.view.fromMap(maps, output),
        score,
        gradient: (of) => grad((maps: Tensor) => sum(score(of, maps)))(featureMap),
      };
    };
    const live: Trace = {
      ...trace,
      picture,
      get outputs() {
        return vary(new Map());
      },
      at,
      value,
      vary,
      gradients: refuse,
      shared: refuse,
    };
    const found = method.explain(at(layer), { target, classIndex });
    return isSteps(found) ? refuse() : found.M;
  };
}

/** The change of a picture by which a map changes most. */
export interface LargestChange {
  /** Of length 1 [1, C, H, W]; the caller disposes it. */
  readonly direction: Tensor;
  /** By how much the map changes for it, per unit: the lengths are roots of sums of squares. */
  readonly size: number;
}

/** The share by which the size may still grow when it is taken for found, and the most rounds to find it. */
const [SETTLED, ROUNDS] = [1e-4, 100];

/**
 * The largest change of a method's map under a small change of the picture, and that change: the first singular value and
 * vector of the map's derivative J, by powers of J^T J. What sampled changes find is a lower bound of it.
 *
 * @throws {MethodError} as `mapFunction` does.
 */
export async function largestChange(
  trace: Trace,
  method: Method,
  options: MapFunctionOptions,
): Promise<LargestChange> {
  const { picture } = trace;
  const map = mapFunction(trace, method, options);
  /** J^T u; linear in u, so that the derivative of its product with v is J v. */
  const back = (u: Tensor) => grad((x: Tensor) => sum(mul(map(x), u)))(picture);
  const next = random(1);
  let direction = scope(() => unit(tensorOf(picture.device, picture.shape, () => normal(next))));
  let size = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const last = direction;
    const [grown, forward] = scope(() => {
      const zeros = scale(map(picture), 0);
      const ahead = grad((u: Tensor) => sum(mul(back(u), last)))(zeros);
      const returned = back(ahead);
      return [unit(returned), sqrt(sum(mul(ahead, ahead)))];
    });
    const [found] = await forward.data();
    forward.dispose();
    last.dispose();
    direction = grown;
    const settled = found! <= size * (1 + SETTLED);
    size = Math.max(size, found!);
    if (settled) break;
  }
  return { direction, size };
}
