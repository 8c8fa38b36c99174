// The layers as a drawing from left to right: who feeds whom, with shapes. A layer that can be explained is chosen with a
// click; of large networks blocks are closed until they are clicked.

import { Graph, layout } from '@dagrejs/dagre';
import { button, element, make, refill, svg } from '../dom.ts';
import type { Predicted } from '../work/tasks.ts';
import { type Block, blocksOf, drawables } from './blocks.ts';

type Node = Predicted['nodes'][number];

/** The size of a node, in pixels, and the space around an open block. */
const [WIDTH, HEIGHT] = [136, 58];
const MARGIN = 12;
/** Graphs with more nodes are shown with their blocks closed. */
const FEW = 40;

/** The blocks that were opened and closed by hand, of the network that is shown. */
let changed = new Map<string, boolean>();
let shownOf: readonly Node[] = [];

const shapeOf = ({ shape }: Node) => shape.slice(1).join(' × ');

/** A line through points, its corners rounded. */
function path(points: readonly { readonly x: number; readonly y: number }[]): string {
  const middle = (i: number) =>
    `${(points[i]!.x + points[i + 1]!.x) / 2} ${(points[i]!.y + points[i + 1]!.y) / 2}`;
  const inner = points.slice(1, -1).map(({ x, y }, i) => `Q ${x} ${y} ${middle(i + 1)}`);
  const [first, last] = [points[0]!, points.at(-1)!];
  return `M ${first.x} ${first.y} ${inner.join(' ')} L ${last.x} ${last.y}`;
}

/** Draws a network's layers, those that are chosen marked; `take` is told the name of one that is clicked. */
export function showGraph(
  nodes: readonly Node[],
  chosen: readonly string[],
  take: (layer: string) => void,
): void {
  const isSame = nodes.length === shownOf.length && nodes.every(({ name }, i) => name === shownOf[i]!.name);
  if (!isSame) changed = new Map();
  shownOf = nodes;
  const blocks = blocksOf(nodes);
  const isOpen = ({ name, nodes: inside }: Block<Node>) =>
    inside.length === 1 ||
    (changed.get(name) ?? (nodes.length <= FEW || inside.some((node) => chosen.includes(node.name))));
  const drawn = drawables(blocks, isOpen);
  const turn = (name: string, open: boolean) => {
    changed.set(name, open);
    showGraph(nodes, chosen, take);
  };

  const graph = new Graph({ compound: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 14, ranksep: 30, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  const inputs = new Set(
    drawn.flatMap(({ from }) => from).filter((name) => !drawn.some((one) => one.name === name)),
  );
  for (const name of [...inputs, ...drawn.map((one) => one.name)])
    graph.setNode(name, { width: WIDTH, height: HEIGHT });
  for (const { name, from, block } of drawn) {
    for (const source of from) graph.setEdge(source, name);
    if (block === undefined) continue;
    graph.setNode(`block ${block}`, {});
    graph.setParent(name, `block ${block}`);
  }
  layout(graph);

  const place = (made: HTMLElement, name: string) => {
    const { x, y, width, height } = graph.node(name) as {
      x: number;
      y: number;
      width: number;
      height: number;
    };
    Object.assign(made.style, {
      left: `${x - width / 2}px`,
      top: `${y - height / 2}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    return made;
  };
  const { width, height } = graph.graph() as { width: number; height: number };
  const lines = svg('svg', { width, height, 'aria-hidden': 'true' });
  for (const edge of graph.edges()) lines.append(svg('path', { d: path(graph.edge(edge)!.points!) }));
  const frames = blocks
    .filter((block) => block.nodes.length > 1 && isOpen(block))
    .map(({ name }) =>
      place(
        make(
          'div',
          { class: 'frame' },
          button(
            { 'aria-label': `close the block ${name}`, id: `close ${name}` },
            () => turn(name, false),
            '−',
          ),
        ),
        `block ${name}`,
      ),
    );
  const boxes = drawn.map(({ name, from, node, count }) => {
    const words = [
      make('strong', {}, name),
      make('span', {}, count > 1 ? `${count} layers` : node.kind),
      make('span', {}, shapeOf(node)),
    ];
    const title = `${name}: ${node.kind}, ${shapeOf(node)}, from ${from.join(', ')}`;
    if (count > 1)
      return place(
        button(
          { class: 'block', title, id: `open ${name}`, 'aria-expanded': 'false' },
          () => turn(name, true),
          ...words,
        ),
        name,
      );
    const attributes = {
      title,
      'aria-pressed': String(chosen.includes(name)),
      'data-layer': name,
      id: `layer ${name}`,
    };
    return place(
      node.explained
        ? button(attributes, () => take(name), ...words)
        : make('div', { class: 'node', title }, ...words),
      name,
    );
  });
  const ends = [...inputs].map((name) =>
    place(make('div', { class: 'node input' }, make('strong', {}, name)), name),
  );
  const canvas = make('div', { class: 'canvas' }, ...frames, lines, ...ends, ...boxes);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  refill(element('graph'), canvas);
  if (isSame) return;
  const first = graph.node(drawn.find(({ name }) => chosen.includes(name))?.name ?? drawn[0]!.name);
  const { clientWidth, clientHeight } = element('graph');
  element('graph').scrollTo(first.x! - clientWidth / 2, first.y! - clientHeight / 2);
}
