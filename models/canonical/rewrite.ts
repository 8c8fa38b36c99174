// The mechanism of rewrites: each looks at one node and says what to put in its place.

import { dryDevice, type Shape } from '../../engine/index.ts';
import type { HostTensor } from '../formats/host-tensor.ts';
import { shapeOfNode } from '../formats/kit.ts';
import type { GraphNode, Parameter } from '../graph.ts';

/** A graph on its way from a file: its nodes in order, their parameters' numbers, and the nodes that must stay. */
export interface Draft {
  readonly nodes: readonly GraphNode[];
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Shapes of what goes in, by name. */
  readonly inputs: ReadonlyMap<string, Shape>;
  /** Nodes whose values somebody takes. */
  readonly outputs: readonly string[];
}

/** What a rewrite sees around a node. */
export interface Around {
  /** The shape of a value, for two pictures: an axis of 2 may be the batch, an axis of 1 is not. */
  readonly shape: (name: string) => Shape;
  /** The node that gives a node's first input, or the one asked for; undefined where the graph's input does. */
  readonly before: (node: GraphNode, input?: number) => GraphNode | undefined;
  /** How often a value is taken. */
  readonly uses: (name: string) => number;
  /** Whether the graph's outputs or exactly one node takes a node's value. */
  readonly isOnly: (node: GraphNode) => boolean;
  readonly numbers: (parameter: Parameter) => HostTensor;
  /** Stores numbers under a key that is still free, or that nobody but the rewritten nodes uses. */
  readonly store: (key: string, tensor: HostTensor) => Parameter;
  /** Whether a key belongs to one node alone. */
  readonly isOwn: (key: string) => boolean;
}

/**
 * What stands in a node's place: nodes of which the last has its name and gives the same value; or the name of a value
 * that is the same, under which the node is found from now on. Undefined where the rewrite does not apply.
 */
export type Rewrite = (node: GraphNode, around: Around) => readonly GraphNode[] | string | undefined;

/** More than enough for rewrites that make room for one another. */
const MOST_PASSES = 8;

/** The graph while it is rewritten: who takes what, and what has gone. */
function ledger(draft: Draft) {
  const device = dryDevice();
  const shapes = new Map(draft.inputs);
  const tensors = new Map(draft.tensors);
  const aliases = new Map<string, string>();
  const byName = new Map<string, GraphNode>();
  const uses = new Map<string, number>();
  const owners = new Map<string, number>();
  const wanted = new Set(draft.outputs);

  const count = (map: Map<string, number>, key: string, by: number) => map.set(key, (map.get(key) ?? 0) + by);
  const resolve = (name: string): string => {
    let at = name;
    for (let to = aliases.get(at); to !== undefined; to = aliases.get(at)) at = to;
    return at;
  };
  const enter = (node: GraphNode) => {
    byName.set(node.name, node);
    for (const input of node.inputs) count(uses, input, 1);
    for (const { key } of Object.values(node.parameters)) count(owners, key, 1);
    if (shapes.has(node.name)) return;
    const given = node.inputs.map((input) => shapes.get(input)!);
    shapes.set(node.name, shapeOfNode(device, node, given));
  };
  /** Takes a node out; what only it needed goes too. A view that goes is found as what it views. */
  const leave = (first: GraphNode) => {
    const left = [first];
    for (let node = left.pop(); node !== undefined; node = left.pop()) {
      byName.delete(node.name);
      for (const { key } of Object.values(node.parameters)) count(owners, key, -1);
      for (const input of node.inputs) {
        count(uses, input, -1);
        const giver = byName.get(input);
        if (uses.get(input) === 0 && giver && !wanted.has(input)) {
          if (giver.traits.view) aliases.set(input, giver.inputs[0]!);
          left.push(giver);
        }
      }
    }
  };
  const around: Around = {
    shape: (name) => shapes.get(name)!,
    before: (node, input = 0) => byName.get(node.inputs[input] ?? ''),
    uses: (name) => (uses.get(name) ?? 0) + Number(wanted.has(name)),
    isOnly: ({ name }) => uses.get(name) === 1 && !wanted.has(name),
    numbers: ({ key }) => tensors.get(key)!,
    isOwn: (key) => owners.get(key) === 1,
    store: (key, tensor) => {
      tensors.set(key, tensor);
      return { key, shape: tensor.shape };
    },
  };
  /** Lets a node be found as another value, and takes it out. */
  const alias = (node: GraphNode, value: string) => {
    aliases.set(node.name, value);
    count(uses, value, uses.get(node.name) ?? 0);
    if (wanted.delete(node.name)) wanted.add(value);
    leave(node);
  };
  /** Puts nodes in the place of one. They are entered before it leaves, so that what both need stays. */
  const replace = (node: GraphNode, by: readonly GraphNode[]) => {
    for (const one of by) enter(one);
    leave(node);
    byName.set(node.name, by.at(-1)!);
  };
  for (const node of draft.nodes) enter(node);
  return { byName, tensors, aliases, resolve, around, alias, replace };
}

/**
 * Applies rewrites until none applies. `aliases` has the names of nodes that are gone because another gives the same
 * elements.
 */
export function rewritten(
  draft: Draft,
  rewrites: readonly Rewrite[],
): Pick<Draft, 'nodes' | 'tensors'> & { readonly aliases: ReadonlyMap<string, string> } {
  const { byName, tensors, aliases, resolve, around, alias, replace } = ledger(draft);
  const attempt = (node: GraphNode): readonly GraphNode[] | string | undefined => {
    for (const rewrite of rewrites) {
      const found = rewrite(node, around);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  let nodes = draft.nodes;
  for (let pass = 0, changed = true; changed && pass < MOST_PASSES; pass++) {
    changed = false;
    const next: GraphNode[] = [];
    for (const old of nodes) {
      if (!byName.has(old.name)) continue;
      const inputs = old.inputs.map(resolve);
      const node = inputs.every((name, i) => name === old.inputs[i]) ? old : { ...old, inputs };
      byName.set(node.name, node);
      const found = attempt(node);
      changed ||= found !== undefined;
      if (found === undefined) next.push(node);
      else if (typeof found === 'string') alias(node, found);
      else {
        replace(node, found);
        next.push(...found);
      }
    }
    nodes = next.filter((node) => byName.get(node.name) === node);
  }
  const settled = nodes.map((node) => ({ ...node, inputs: node.inputs.map(resolve) }));
  const names = [...aliases.keys()].map((name): [string, string] => [name, resolve(name)]);
  return { nodes: settled, tensors, aliases: new Map(names.filter(([, to]) => to !== undefined)) };
}
