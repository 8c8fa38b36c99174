// The blocks of a graph: what lies between two nodes that everything goes through. A residual branch with what it is added
// to is one, and so are an attention and an inception module, whatever their nodes are called.

/** A node of a network, as far as a drawing needs it; inputs come before the nodes that take them. */
export interface Step {
  readonly name: string;
  readonly inputs: readonly string[];
}

/** Nodes that are drawn together: several of a block, or one. */
export interface Block<Node extends Step> {
  /** Of its last node, through which all of it goes on. */
  readonly name: string;
  readonly nodes: readonly Node[];
}

/** The blocks in their order; every node is in one. */
export function blocksOf<Node extends Step>(nodes: readonly Node[]): Block<Node>[] {
  const place = new Map(nodes.map(({ name }, i) => [name, i]));
  /** How far the values reach that each node and what comes before it give; of inputs too, which come before all. */
  const reach = new Array<number>(nodes.length + 1).fill(0);
  nodes.forEach(({ inputs }, i) => {
    for (const input of inputs) {
      const from = (place.get(input) ?? -1) + 1;
      reach[from] = Math.max(reach[from]!, i);
    }
  });
  const blocks: Block<Node>[] = [];
  let [start, furthest] = [0, reach[0]!];
  nodes.forEach((node, i) => {
    // Nothing goes past this node: it ends a block.
    if (furthest <= i) {
      blocks.push({ name: node.name, nodes: nodes.slice(start, i + 1) });
      start = i + 1;
    }
    furthest = Math.max(furthest, reach[i + 1]!);
  });
  if (start < nodes.length) blocks.push({ name: nodes.at(-1)!.name, nodes: nodes.slice(start) });
  return blocks;
}

/** What is drawn: nodes, and blocks that are closed, each with what it takes of the others that are drawn. */
export interface Drawable<Node extends Step> {
  readonly name: string;
  readonly from: readonly string[];
  readonly node: Node;
  /** How many nodes are closed in it. */
  readonly count: number;
  /** The name of the open block that it is in. */
  readonly block: string | undefined;
}

/** What is drawn of a graph when only these blocks are open. */
export function drawables<Node extends Step>(
  blocks: readonly Block<Node>[],
  isOpen: (block: Block<Node>) => boolean,
): Drawable<Node>[] {
  const shownAs = new Map<string, string>();
  for (const block of blocks)
    for (const { name } of block.nodes) shownAs.set(name, isOpen(block) ? name : block.name);
  const sources = (nodes: readonly Node[], self: string) => [
    ...new Set(
      nodes
        .flatMap(({ inputs }) => inputs.map((name) => shownAs.get(name) ?? name))
        .filter((name) => name !== self),
    ),
  ];
  return blocks.flatMap((block): Drawable<Node>[] =>
    isOpen(block)
      ? block.nodes.map((node) => ({
          name: node.name,
          from: sources([node], node.name),
          node,
          count: 1,
          block: block.nodes.length > 1 ? block.name : undefined,
        }))
      : [
          {
            name: block.name,
            from: sources(block.nodes, block.name),
            node: block.nodes.at(-1)!,
            count: block.nodes.length,
            block: undefined,
          },
        ],
  );
}
