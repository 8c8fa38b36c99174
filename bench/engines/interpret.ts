// Runs Limelight's graph of a network with another library's operations, so that every engine computes the same network
// layer by layer. Each engine has a dictionary from the kinds of layers to its operations. That is the one place where a
// layer's name decides anything: traits say what may be relied on of a layer, not how to compute it in another library. A
// kind that a dictionary lacks is refused, so that a renamed layer ends a measurement and falsifies none.

import { eachParameter, type Graph } from '../../models/graph.ts';
import { Unsupported } from './engine.ts';

/** Attributes of a node, as models/layers.ts writes them. */
export interface Attributes {
  readonly kernel?: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [top: number, left: number, bottom: number, right: number];
  readonly groups?: number;
  readonly ceilMode?: boolean;
  readonly epsilon?: number;
  readonly addedChannels?: number;
  readonly min?: number;
  readonly max?: number;
}

/** A layer of each kind in another library's tensors. */
export type Layers<T> = Readonly<
  Record<string, (inputs: readonly T[], parameters: Readonly<Record<string, T>>, attributes: Attributes) => T>
>;

/** The value of `wanted`, from values that are known; every node between is computed once. */
export function interpret<T>(
  graph: Graph,
  layers: Layers<T>,
  parameters: ReadonlyMap<string, T>,
  known: ReadonlyMap<string, T>,
  wanted: string,
): T {
  const values = new Map(known);
  const valueAt = (name: string): T => {
    const found = values.get(name);
    if (found !== undefined) return found;
    const node = graph.nodes.find((candidate) => candidate.name === name);
    const layer = node && layers[node.kind];
    if (node === undefined || layer === undefined)
      throw new Unsupported(`a layer of kind ${node?.kind ?? name}`);
    const ofNode = eachParameter(node, ({ key }) => parameters.get(key)!);
    const value = layer(node.inputs.map(valueAt), ofNode, node.attributes as Attributes);
    values.set(name, value);
    return value;
  };
  return valueAt(wanted);
}

/** Flattens what has one number a channel; the order of more depends on where an engine keeps its channels. */
export function flat<T>(shape: readonly number[], flatten: () => T): T {
  if (shape.filter((n) => n !== 1).length > 2) throw new Unsupported(`flattening [${shape.join(', ')}]`);
  return flatten();
}

/** Pixels that pooling needs after an input of `size` so that its last window is whole, in ceil mode. */
export function poolPadding(
  size: number,
  axis: 0 | 1,
  { kernel, stride, padding, ceilMode }: Attributes,
): [number, number] {
  const [before, after] = [padding![axis], padding![axis + 2]!];
  const free = size + before + after - kernel![axis];
  const windows = (ceilMode ? Math.ceil : Math.floor)(free / stride![axis]) + 1;
  return [before, Math.max(0, (windows - 1) * stride![axis] + kernel![axis] - size - before)];
}
