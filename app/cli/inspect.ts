// limelight inspect: the nodes of a network, and which methods apply to it.

import { defaultMethods } from '../../cam/index.ts';
import { closeDevice, openDevice, tensor } from '../../engine/index.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { camRefusal, chooseModel } from './load.ts';
import { table } from './report.ts';

/** What a network that takes any size is shown for. */
const EXAMPLE_SIZE = [64, 64] as const;

export async function inspectCommand(model: string, asked: { readonly device?: string }): Promise<void> {
  const { graph, preprocessing, name, summary, targetLayer } = (await chooseModel(model)).description;
  const [height, width] = preprocessing.size ?? EXAMPLE_SIZE;
  const inputShape = [1, preprocessing.channels, height, width];
  const sizes = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const device = await openDevice(asked.device === undefined ? {} : { adapter: asked.device });
  try {
    // Shapes do not depend on the numbers, so weights need not be at hand.
    const zeros = (shape: readonly number[]) => tensor(device, new Float32Array(sizes(shape)), shape);
    const parameters = new Map(
      graph.nodes.flatMap((node) =>
        Object.values(node.parameters).map(({ key, shape }) => [key, zeros(shape)]),
      ),
    );
    const names = graph.nodes.map((node) => node.name);
    const values = evaluate(graph, parameters, new Map([[INPUT, zeros(inputShape)]]), names);
    const count = (node: (typeof graph.nodes)[number]) =>
      Object.values(node.parameters).reduce((sum, { shape }) => sum + sizes(shape), 0);
    const rows = graph.nodes.map((node) => [
      node.name + (node.name === targetLayer ? '  <- target layer' : ''),
      node.kind,
      node.inputs.join(', '),
      `[${values.get(node.name)!.shape.join(', ')}]`,
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
  } finally {
    closeDevice(device);
  }
}
