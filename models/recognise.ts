// Which network of the catalog a state dict belongs to, by its keys and shapes.

import { adaptTensors } from './architectures/index.ts';
import type { CatalogEntry } from './catalog.ts';
import { numbered } from './catalog.ts';
import type { StateDict } from './formats/host-tensor.ts';
import type { Graph } from './graph.ts';
import { isCounter } from './network.ts';

/** An entry made to fit a state dict, and the state dict under the entry's keys. */
export interface Fitted {
  readonly entry: CatalogEntry;
  readonly tensors: StateDict;
}

/**
 * Keys of other publishers become the entry's own, and the graph gets as many classes as the last weight has rows, so
 * that networks trained further on other classes load. What does not fit otherwise is left for `loadNetwork` to refuse.
 */
export function fitted(entry: CatalogEntry, tensors: StateDict): Fitted {
  const { architecture } = entry;
  if (architecture === undefined) return { entry, tensors };
  const adapted = adaptTensors(architecture, entry.graph, tensors);
  const classes = classesIn(entry.graph, adapted);
  if (classes === undefined || classes === entry.classes.length) return { entry, tensors: adapted };
  const { labels: _, ...rest } = entry;
  const graph = architecture.graph(classes);
  return {
    entry: { ...rest, graph, classes: numbered(classes) },
    tensors: adaptTensors(architecture, graph, tensors),
  };
}

/** Rows of the last layer's weight. */
function classesIn(graph: Graph, tensors: StateDict): number | undefined {
  const last = graph.nodes.findLast(({ kind }) => kind === 'linear' || kind === 'conv');
  const rows = tensors.get(last?.parameters.weight?.key ?? '')?.shape[0];
  return rows !== undefined && rows > 0 ? rows : undefined;
}

/**
 * The entries that a state dict fits, keys and shapes. Where some have these very keys as their own, entries that would
 * take others too are left out.
 */
export function recognise(entries: Iterable<CatalogEntry>, tensors: StateDict): Fitted[] {
  const fits = [...entries].map((entry) => fitted(entry, tensors)).filter(isWhole);
  const own = fits.filter(({ entry }) => entry.architecture?.otherKeys === undefined);
  return own.length > 0 ? own : fits;
}

function isWhole({ entry: { graph }, tensors }: Fitted): boolean {
  const expected = graph.nodes.flatMap((node) => Object.values(node.parameters));
  const found = [...tensors.keys()].filter((key) => !isCounter(key));
  if (found.length !== new Set(expected.map(({ key }) => key)).size) return false;
  return expected.every(({ key, shape }) => tensors.get(key)?.shape.join() === shape.join());
}
