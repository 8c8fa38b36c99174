// Work of whole networks, added up over their layers.

import { shapesOf } from '../models/dry-run.ts';
import { type Graph, INPUT, nodeOf } from '../models/graph.ts';
import { inputShapeOf, loadMeasured } from './networks.node.ts';
import { elements, type Problem, type Work, workOfKernel } from './problems.ts';

const add = (a: Work, b: Work): Work => ({ flops: a.flops + b.flops, bytes: a.bytes + b.bytes });

/**
 * Work of a network: every layer reads its inputs and parameters and writes its output once. A fused engine moves less,
 * and may so exceed its share of the roofline.
 */
export function workOfGraph(graph: Graph, inputShape: readonly number[], only?: ReadonlySet<string>): Work {
  const shapes = new Map([[INPUT, inputShape], ...shapesOf(graph, inputShape)]);
  return graph.nodes
    .filter((node) => only === undefined || only.has(node.name))
    .map((node): Work => {
      const output = elements(shapes.get(node.name)!);
      const weights = Object.values(node.parameters).map(({ shape }) => shape);
      const moved = [...node.inputs.map((name) => shapes.get(name)!), ...weights, shapes.get(node.name)!];
      const { weight } = node.parameters;
      const perOutput = weight && node.traits.weighted ? 2 * elements(weight.shape.slice(1)) : 1;
      return { flops: perOutput * output, bytes: 4 * moved.reduce((sum, shape) => sum + elements(shape), 0) };
    })
    .reduce(add, { flops: 0, bytes: 0 });
}

/** Nodes that a layer's output reaches. */
function nodesAfter(graph: Graph, layer: string): Set<string> {
  const reached = new Set([nodeOf(graph, layer).name]);
  for (const node of graph.nodes) if (node.inputs.some((name) => reached.has(name))) reached.add(node.name);
  reached.delete(layer);
  return reached;
}

/** Work of a case; undefined for explanations, whose cost is told in forward passes, and for what cannot be loaded. */
export async function workOf(problem: Problem): Promise<Work | undefined> {
  if (!('network' in problem)) return workOfKernel(problem);
  if (problem.op === 'explain') return undefined;
  try {
    const { description } = await loadMeasured(problem.network);
    const { graph, targetLayer } = description;
    const forward = workOfGraph(
      graph,
      inputShapeOf(problem.network, problem.op === 'forward' ? problem.batch : 1),
    );
    if (problem.op === 'forward') return forward;
    // Backwards each layer after the target does as much again for the gradient at its input.
    const tail = nodesAfter(graph, targetLayer);
    return add(forward, workOfGraph(graph, inputShapeOf(problem.network, 1), tail));
  } catch {
    return undefined; // said where the network itself is measured
  }
}
