// limelight inspect: the nodes of a network, and which methods apply to it.

import { defaultMethods } from '../../cam/index.ts';
import { sizeOf } from '../../engine/index.ts';
import { type GraphNode, shapesOf } from '../../models/graph.ts';
import { camRefusal, chooseModel } from './load.ts';
import { table } from './report.ts';

/** What a network that takes any size is shown for. */
const EXAMPLE_SIZE = [64, 64] as const;

export async function inspectCommand(model: string): Promise<void> {
  const { graph, preprocessing, name, summary, targetLayer } = (await chooseModel(model)).description;
  const [height, width] = preprocessing.size ?? EXAMPLE_SIZE;
  const inputShape = [1, preprocessing.channels, height, width];
  const shapes = shapesOf(graph, inputShape);
  const count = ({ parameters }: GraphNode) =>
    Object.values(parameters).reduce((total, { shape }) => total + sizeOf(shape), 0);
  const rows = graph.nodes.map((node) => [
    node.name + (node.name === targetLayer ? '  <- target layer' : ''),
    node.kind,
    node.inputs.join(', '),
    `[${shapes.get(node.name)!.join(', ')}]`,
    count(node) > 0 ? String(count(node)) : '',
  ]);
  const total = graph.nodes.reduce((sum, node) => sum + count(node), 0);
  const anySize = preprocessing.size ? '' : ', as an example: any size is taken';
  const refusal = camRefusal(graph, targetLayer);
  const others = defaultMethods.filter((method) => method !== 'cam').join(', ');
  process.stdout.write(
    `${name}: ${summary}\ninput [${inputShape.join(', ')}]${anySize}; ${total} parameters\n` +
      `${table(['node', 'kind', 'inputs', 'output shape', 'parameters'], rows)}\n` +
      `methods: ${refusal === undefined ? defaultMethods.join(', ') : `${others}; not cam: ${refusal}`}\n`,
  );
}
