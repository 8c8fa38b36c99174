// One forward pass, seen from a target layer: the feature map A there, and the rest of the network, the tail, as a
// function of A. Every method works on this; several methods, classes and targets of one image share it.

import {
  grad,
  LimelightError,
  logSoftmax,
  narrow,
  neg,
  reshape,
  scope,
  sigmoid,
  softmax,
  softplus,
  stopGradient,
  sum,
  type Tensor,
  tensor,
  unowned,
  vjp,
} from '../engine/index.ts';
import { dryRun } from '../models/dry-run.ts';
import { type FeatureMapView, featureMapView } from '../models/feature-map.ts';
import { boundary, INPUT, nodeOf } from '../models/graph.ts';
import type { Network } from '../models/network.ts';
import { run } from '../models/run.ts';
import { worthKeeping } from './behind.ts';
import { LayerError } from './errors.ts';

export interface Observation {
  readonly network: Network;
  /** Name of the target layer. */
  readonly layer: string;
  /** The network's input [1, C, H, W]. */
  readonly input: Tensor;
  /** The target layer's output [1, K, h, w]; a transformer's tokens as a grid. */
  readonly featureMap: Tensor;
  /** The layer's own output, and what skips past it on the way to the logits, by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** Of what comes next, what ablation would otherwise compute again, by name; see `worthKeeping`. */
  readonly behind: ReadonlyMap<string, Tensor>;
  /** How the layer's output holds the feature map: as it is, with its channels last, or as tokens. */
  readonly view: FeatureMapView;
  /** [1, classes] */
  readonly logits: Tensor;
  /** Logits [N, classes] from N versions of the feature map [N, K, h, w]; only the tail is run. */
  readonly tail: (featureMap: Tensor) => Tensor;
  /** Logits [N, classes] from N inputs [N, C, H, W]. */
  readonly forward: (input: Tensor) => Tensor;
  /** Gradient [1, K, h, w] at the feature map of a scalar whose gradient at the logits is given [1, classes]. */
  readonly pullback: (cotangent: Tensor) => Tensor;
  /** Tensors that several methods or classes share: made when first asked for, freed with the observation. */
  readonly once: (key: unknown, make: () => readonly Tensor[]) => readonly Tensor[];
  readonly dispose: () => void;
}

/** Runs the network once on an input [1, C, H, W], keeping what explaining `layer` needs. */
export function observe(network: Network, input: Tensor, named: string = network.targetLayer): Observation {
  const { graph } = network;
  const layer = nodeOf(graph, named).name;
  if (input.shape[0] !== 1) {
    throw new LayerError(`observe: the input holds ${input.shape[0]} images; observe one image at a time`);
  }
  const beside = boundary(graph, layer);
  const logitsOf = (known: ReadonlyMap<string, Tensor>) =>
    run(network, known, [graph.output]).get(graph.output)!;
  const kept = scope(() => {
    const values = run(network, new Map([[INPUT, input]]), [layer, ...beside]);
    const own = values.get(layer)!;
    const view = featureMapView(dryRun(graph, input.shape).places.get(layer));
    if (typeof view === 'string') {
      throw new LayerError(
        `layer "${layer}" gives [${own.shape.join(', ')}], which is no feature map: ${view}; ` +
          `choose another, such as "${network.targetLayer}"`,
      );
    }
    const featureMap = view.toMap(own);
    const known = (a: Tensor) => new Map([...values, [layer, view.fromMap(a, own)]]);
    const tail = (a: Tensor) => logitsOf(known(a));
    const names = featureMap === own ? worthKeeping(graph, layer) : [];
    let behind = new Map<string, Tensor>();
    const { value, pullback } = vjp(
      (a) => {
        const passed = run(network, known(a), [graph.output, ...names]);
        behind = new Map(names.map((name) => [name, stopGradient(passed.get(name)!)]));
        return passed.get(graph.output)!;
      },
      [featureMap],
    );
    return { values, behind, view, featureMap, logits: value, tail, pullback };
  });
  const shared = new Map<unknown, readonly Tensor[]>();
  return {
    network,
    layer,
    input,
    featureMap: kept.featureMap,
    values: kept.values,
    behind: kept.behind,
    view: kept.view,
    logits: kept.logits,
    tail: kept.tail,
    forward: (x) => logitsOf(new Map([[INPUT, x]])),
    pullback: (cotangent) => kept.pullback(cotangent)[0]!,
    once(key, make) {
      const made = shared.get(key) ?? unowned(() => scope(make));
      shared.set(key, made);
      return made;
    },
    dispose() {
      for (const made of [...shared.values()].flat()) made.dispose();
      kept.logits.dispose();
      kept.featureMap.dispose();
      for (const value of kept.behind.values()) value.dispose();
      for (const [name, value] of kept.values) if (name !== INPUT) value.dispose();
    },
  };
}

/** What is explained: a scalar for each row of logits [N, classes] -> [N], made of differentiable operations. */
export interface Target {
  (logits: Tensor): Tensor;
  /** The class, where it is that class's logit: its gradient is known, and methods may have it cheaper than all logits. */
  readonly logitOf?: number;
}

/** The logit of a class; the default of every method. */
export const logitTarget = (index: number): Target =>
  Object.assign((logits: Tensor) => reshape(narrow(logits, 1, index, 1), [-1]), { logitOf: index });

/** The log-probability of a class: under softmax, or under the sigmoid where classes are independent. */
export const logProbabilityTarget =
  (index: number, kind: Network['probabilities'] = 'softmax'): Target =>
  (logits) => {
    if (kind === 'none') throw new LimelightError(NO_PROBABILITIES);
    if (kind === 'softmax') return logitTarget(index)(logSoftmax(logits, 1));
    return neg(softplus(neg(logitTarget(index)(logits)))); // log 1 / (1 + e^-z)
  };

const NO_PROBABILITIES =
  'the network gives values, not probabilities of classes; explain its logit, the value';

/** Probabilities [N, classes]: softmax, or sigmoid where classes are independent; values where there are none. */
export function probabilities(network: Network, logits: Tensor): Tensor {
  if (network.probabilities === 'none') return reshape(logits, logits.shape);
  return network.probabilities === 'softmax' ? softmax(logits, 1) : sigmoid(logits);
}

/** The probability of one class from logits that were read; null where the network gives values. */
export function probabilityOf(network: Network, logits: Float32Array, index: number): number | null {
  if (network.probabilities === 'none') return null;
  const z = logits[index]!;
  const rivals = network.probabilities === 'softmax' ? [...logits] : [0, z]; // sigmoid: softmax of 0 and z
  return 1 / rivals.reduce((sum, other) => sum + Math.exp(other - z), 0);
}

/** dS/dA [1, K, h, w] of a target S at the observed feature map; the observation's own, freed with it. */
export function gradientOf(observation: Observation, target: Target): Tensor {
  const { logits, pullback, once } = observation;
  const atLogits = () =>
    target.logitOf === undefined
      ? grad((z) => sum(target(z)))(stopGradient(logits))
      : oneHotRows(logits, target.logitOf, 1, logits.shape.slice(1));
  const [gradient] = once(target, () => [pullback(atLogits())]);
  return gradient!;
}

/** Rows `start` to `start + count` of an identity matrix, as a tensor of the given trailing shape. */
export function oneHotRows(like: Tensor, start: number, count: number, shape: readonly number[]): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  const rows = new Float32Array(count * size);
  for (let i = 0; i < count; i++) rows[i * size + start + i] = 1;
  return tensor(like.device, rows, [count, ...shape]);
}
