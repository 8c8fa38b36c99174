// CAM (Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning Deep Features for Discriminative Localization, CVPR 2016).
//
//   M_c(x, y) = sum_k w_k^c A_k(x, y)                                  equation (2)
//
// with w^c the classifier's weights of class c behind global average pooling. No ReLU, no bias. Where the head is a 1x1
// convolution followed by pooling, the class's own channel is the map, with its bias and its activation.

import { gather, indexTensor, narrow, reshape, type Tensor } from '../../engine/index.ts';
import { type Graph, type GraphNode, nodeOf } from '../../models/graph.ts';
import { run } from '../../models/run.ts';
import { LayerError } from '../errors.ts';
import { weightedSum } from '../map.ts';
import type { Method } from '../method.ts';

/** Layers that pass a feature map through unchanged when a network is explained. */
const TRANSPARENT = new Set(['dropout', 'flatten', 'identity']);

/** The last layers, if they are of a form to which CAM applies. */
export interface Head {
  /** The node whose output CAM weighs. */
  readonly featureMap: string;
  /** linear: weights behind GAP; conv: the node whose class channel is the map. */
  readonly kind: 'linear' | 'conv';
  readonly node: string;
  readonly weight: string;
}

/** Recognises GAP + linear and 1x1 convolution (+ ReLU) + GAP; otherwise a LayerError that names what stands in the way. */
export function recogniseHead(graph: Graph): Head {
  const before = (node: GraphNode): GraphNode => {
    let at = nodeOf(graph, node.inputs[0]!);
    while (TRANSPARENT.has(at.kind)) at = nodeOf(graph, at.inputs[0]!);
    return at;
  };
  const refuse = (node: GraphNode, wanted: string): never => {
    throw new LayerError(
      `CAM needs a head of global average pooling and one linear layer, or of a 1x1 convolution and global average ` +
        `pooling; here "${node.name}" (${node.kind}) stands where ${wanted} should. Use grad-cam for this network.`,
    );
  };
  const output = nodeOf(graph, skipTransparent(graph, graph.output));
  if (output.kind === 'linear') {
    const pool = before(output);
    if (pool.kind !== 'globalAvgPool') refuse(pool, 'global average pooling');
    return {
      featureMap: skipTransparent(graph, pool.inputs[0]!),
      kind: 'linear',
      node: output.name,
      weight: output.parameters.weight!.key,
    };
  }
  if (output.kind !== 'globalAvgPool') refuse(output, 'a linear layer or global average pooling');
  const last = nodeOf(graph, output.inputs[0]!);
  const classifier = last.kind === 'relu' ? before(last) : last;
  if (!isPointwise(classifier)) refuse(classifier, 'a 1x1 convolution');
  return {
    featureMap: skipTransparent(graph, classifier.inputs[0]!),
    kind: 'conv',
    node: last.name,
    weight: classifier.parameters.weight!.key,
  };
}

function isPointwise({ kind, parameters }: GraphNode): boolean {
  const [, , height, width] = parameters.weight?.shape ?? [];
  return kind === 'conv' && height === 1 && width === 1;
}

function skipTransparent(graph: Graph, name: string): string {
  const node = graph.nodes.find((candidate) => candidate.name === name);
  return node && TRANSPARENT.has(node.kind) ? skipTransparent(graph, node.inputs[0]!) : name;
}

export const cam: Method = {
  name: 'cam',
  title: 'CAM',
  relu: false,
  explain({ network, layer, featureMap }, { classIndex }) {
    const head = recogniseHead(network.graph);
    if (head.featureMap !== layer) {
      throw new LayerError(`CAM explains the layer before the head, "${head.featureMap}", not "${layer}"`);
    }
    const w = network.parameters.get(head.weight)!;
    const row = gather(w, indexTensor(w.device, [classIndex], [1]), 0);
    const weights = reshape(row, [-1]); // w^c, [K]
    if (head.kind === 'linear') return { weights, map: weightedSum(weights, featureMap) };
    const known = new Map<string, Tensor>([[layer, featureMap]]);
    const channels = run(network, known, [head.node]).get(head.node)!;
    return { weights, map: reshape(narrow(channels, 1, classIndex, 1), channels.shape.slice(2)) };
  },
};
