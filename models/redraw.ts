// Networks that have lost what layers learnt: the numbers of those layers' parameters in random order.

import { type Tensor, tensor } from '../engine/index.ts';
import type { Network } from './network.ts';
import { disposeFused } from './run.ts';
import { permutation, random } from './train/data/random.ts';

/** Every parameter of a network with its numbers in random order; made once, and kept as long as the network is. */
const kept = new WeakMap<Network, Promise<ReadonlyMap<string, Tensor>>>();

async function drawAnew({ device, parameters }: Network): Promise<ReadonlyMap<string, Tensor>> {
  const drawn = new Map<string, Tensor>();
  const next = random(1);
  for (const [key, parameter] of parameters) {
    const values = await parameter.data();
    const order = permutation(values.length, next);
    const mixed = values.map((_, i) => values[order[i]!]!);
    drawn.set(key, tensor(device, mixed, parameter.shape));
  }
  return drawn;
}

/**
 * The network once for each layer with parameters, the last one first: without what that layer learnt, or, `cascading`,
 * without what it and all before it in this order did. Each is to be used before the next is asked for.
 */
export async function* redrawn(network: Network, way: 'cascading' | 'independent'): AsyncGenerator<Network> {
  const drawn = await (kept.get(network) ?? kept.set(network, drawAnew(network)).get(network)!);
  const parameters = new Map(network.parameters);
  for (const node of network.graph.nodes.toReversed()) {
    const keys = Object.values(node.parameters).map(({ key }) => key);
    if (keys.length === 0) continue;
    for (const key of keys) parameters.set(key, drawn.get(key)!);
    const other = { ...network, parameters: new Map(parameters) };
    try {
      yield other;
    } finally {
      disposeFused(other);
    }
    if (way === 'independent') for (const key of keys) parameters.set(key, network.parameters.get(key)!);
  }
}
