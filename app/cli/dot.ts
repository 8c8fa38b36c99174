// A graph as Graphviz text: boxes from the picture down to the logits, the default target layer filled.

import type { Shape } from '../../engine/index.ts';
import { visible } from '../../engine/visible.ts';
import { type Graph, INPUT } from '../../models/graph.ts';

/** A quoted string of the DOT language; \n breaks a line. */
const quoted = (...lines: readonly string[]): string =>
  `"${lines.map((line) => visible(line).replace(/[\\"]/g, '\\$&')).join('\\n')}"`;

const shown = (shape: Shape): string => shape.join(' x ');

/** The graph, a node a line, with what each computes and the shape of its output. */
export function dotOf(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  { name, inputShape, targetLayer }: { name: string; inputShape: Shape; targetLayer: string },
): string {
  const nodes = graph.nodes.map((node) => {
    const fill = node.name === targetLayer ? ', style=filled, fillcolor="#ffd37a"' : '';
    return `  ${quoted(node.name)} [label=${quoted(node.name, node.kind, shown(shapes.get(node.name)!))}${fill}];`;
  });
  const edges = graph.nodes.flatMap((node) =>
    node.inputs.map((input) => `  ${quoted(input)} -> ${quoted(node.name)};`),
  );
  return [
    `digraph ${quoted(name)} {`,
    '  node [shape=box, fontname="Helvetica"];',
    `  ${quoted(INPUT)} [label=${quoted(INPUT, shown(inputShape))}, shape=ellipse];`,
    ...nodes,
    ...edges,
    '}',
    '',
  ].join('\n');
}
