// The decoders that methods run in addition to a network.

import { catalog } from '../models/catalog.ts';
import type { Runnable } from '../models/graph.ts';
import { disposeNetwork, loadDecoder, type Network, type NetworkDescription } from '../models/network.ts';
import { MethodError } from './errors.ts';
import type { Method } from './method.ts';

/** Why a method has no decoder for a network; undefined where it has one or needs none. */
export function decoderRefusal(
  { name, decoders = {} }: NetworkDescription,
  { name: method, decoder }: Method,
): string | undefined {
  if (decoder === undefined || decoders[decoder]) return undefined;
  const having = [...catalog.values()]
    .filter((entry) => entry.decoders?.[decoder])
    .map((entry) => entry.name);
  return (
    `${method} needs a decoder that was trained for the network, and none is shipped for ${name}; there is one for ` +
    `${having.join(', ')}, opened by its name. Take another method here.`
  );
}

/** The decoders that some methods need, on the network's device, by their names. */
export async function loadDecoders(
  network: Network,
  methods: readonly Method[],
): Promise<ReadonlyMap<string, Runnable>> {
  const found = new Map<string, Runnable>();
  try {
    for (const method of methods) {
      const refusal = decoderRefusal(network, method);
      if (refusal) throw new MethodError(refusal);
      const { decoder } = method;
      if (decoder === undefined || found.has(decoder)) continue;
      found.set(decoder, await loadDecoder(network, decoder, network.decoders![decoder]!));
    }
    return found;
  } catch (error) {
    disposeDecoders(found);
    throw error;
  }
}

export function disposeDecoders(decoders: ReadonlyMap<string, Runnable>): void {
  for (const decoder of decoders.values()) disposeNetwork(decoder);
}
