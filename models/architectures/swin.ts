// Swin transformers (Liu 2021, section 3) as torchvision names them: maps [N, H, W, C] with attention in windows, which
// every second block shifts by half, and squares of four tokens merged between stages.

import type { Graph, GraphNode } from '../graph.ts';
import {
  add,
  conv,
  gelu,
  globalAvgPool,
  layerNorm,
  linear,
  mergePatches,
  padToWindows,
  transpose,
  windowMix,
  windowProbabilities,
} from '../layers.ts';

export interface SwinOptions {
  /** Pixels of a patch's side. */
  readonly patch: number;
  /** Channels of the first stage; each further one has twice as many. */
  readonly width: number;
  /** Blocks of each stage, and their heads. */
  readonly depths: readonly number[];
  readonly heads: readonly number[];
  readonly window: number;
  readonly classes: number;
}

const EPSILON = 1e-5;

function block(
  name: string,
  input: string,
  width: number,
  heads: number,
  window: number,
  shift: number,
): GraphNode[] {
  const part = (suffix: string) => `${name}.${suffix}`;
  const spec = { window, shift, heads };
  return [
    layerNorm(part('norm1'), input, width, EPSILON),
    padToWindows(part('attn.pad'), part('norm1'), window),
    linear(part('attn.qkv'), part('attn.pad'), { in: width, out: 3 * width }),
    windowProbabilities(part('attn.probabilities'), part('attn.qkv'), part('attn'), spec),
    windowMix(part('attn.mix'), part('attn.probabilities'), part('attn.qkv'), input, spec),
    linear(part('attn.proj'), part('attn.mix'), { in: width, out: width }),
    add(part('attn'), input, part('attn.proj')),
    layerNorm(part('norm2'), part('attn'), width, EPSILON),
    linear(part('mlp.0'), part('norm2'), { in: width, out: 4 * width }),
    gelu(part('mlp.1'), part('mlp.0')),
    linear(part('mlp.3'), part('mlp.1'), { in: 4 * width, out: width }),
    add(name, part('attn'), part('mlp.3')),
  ];
}

/** A Swin transformer for pictures of any size. */
export function swin({ patch, width: first, depths, heads, window, classes }: SwinOptions): Graph {
  const nodes: GraphNode[] = [
    conv('features.0.0', 'input', { in: 3, out: first, kernel: patch, stride: patch }),
    transpose('features.0.1', 'features.0.0', [0, 2, 3, 1]),
    layerNorm('features.0.2', 'features.0.1', first, EPSILON),
  ];
  const last = () => nodes.at(-1)!.name;
  let width = first;
  for (const [stage, depth] of depths.entries()) {
    if (stage > 0) {
      const name = `features.${2 * stage}`;
      nodes.push(
        mergePatches(name, last()),
        layerNorm(`${name}.norm`, name, 4 * width, EPSILON),
        linear(`${name}.reduction`, `${name}.norm`, { in: 4 * width, out: 2 * width, bias: false }),
      );
      width *= 2;
    }
    for (let i = 0; i < depth; i++) {
      const shift = i % 2 === 0 ? 0 : Math.floor(window / 2);
      nodes.push(...block(`features.${2 * stage + 1}.${i}`, last(), width, heads[stage]!, window, shift));
    }
  }
  nodes.push(
    layerNorm('norm', last(), width, EPSILON),
    transpose('permute', 'norm', [0, 3, 1, 2]),
    globalAvgPool('avgpool', 'permute'),
    linear('head', 'avgpool', { in: width, out: classes }),
  );
  return { nodes, output: 'head' };
}
