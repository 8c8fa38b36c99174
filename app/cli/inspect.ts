// limelight inspect and models: what there is to explain.

import Table from 'cli-table3';
import { LayerError, methods, recogniseHead } from '../../cam/index.ts';
import { scope, type Tensor, tensor } from '../../engine/index.ts';
import { catalog } from '../../models/catalog.ts';
import { evaluate, INPUT } from '../../models/graph.ts';
import { loadModel, openAnnounced, parseModel } from './load.ts';
import { UsageError } from './usage.ts';

/** Smallest side at which a network without a size of its own is shown. */
const SHOWN_SIDE = 64;

export function listModels(): void {
  const table = new Table({ head: ['model', 'shipped', 'classes', 'what it is'], style: { head: [] } });
  for (const { name, weights, classes, summary } of catalog.values()) {
    table.push([name, weights ? 'yes' : 'bring weights', classes.length, summary]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

export async function inspect(model: string, adapter: string | undefined): Promise<void> {
  try {
    parseModel(model);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  const device = await openAnnounced(adapter);
  const network = await loadModel(device, model);
  const { graph, parameters, preprocessing, targetLayer } = network;
  const [height, width] = preprocessing.size ?? [SHOWN_SIDE, SHOWN_SIDE];
  const names = graph.nodes.map((node) => node.name);
  const shapes = scope(() => {
    const zeros = new Float32Array(preprocessing.channels * height * width);
    const x = tensor(device, zeros, [1, preprocessing.channels, height, width]);
    const values: Map<string, Tensor> = evaluate(graph, parameters, new Map([[INPUT, x]]), names);
    return Object.fromEntries([...values].map(([name, value]) => [name, value.shape] as const));
  });
  const table = new Table({ head: ['node', 'kind', 'inputs', 'output', 'parameters'], style: { head: [] } });
  let total = 0;
  for (const { name, kind, inputs, parameters: own } of graph.nodes) {
    const count = Object.values(own).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    total += count;
    const shown = name === targetLayer ? `${name}  <- target layer` : name;
    table.push([shown, kind, inputs.join(', '), shapes[name]!.join(' x '), count || '']);
  }
  process.stdout.write(`${network.name}: ${network.summary}\n${table.toString()}\n${total} parameters\n`);
  const others = [...methods.keys()].filter((name) => name !== 'cam').join(', ');
  try {
    process.stdout.write(`cam: at "${recogniseHead(graph).featureMap}"\n`);
  } catch (error) {
    if (!(error instanceof LayerError)) throw error;
    process.stdout.write(`cam: does not apply. ${error.message}\n`);
  }
  process.stdout.write(`${others}: at any layer that gives a feature map\n`);
}
