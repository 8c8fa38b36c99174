// Families of networks that are published in many sizes: the graph is made to fit the weights, whose keys and shapes say
// everything but what is a convention.

import type { HostTensor, StateDict } from '../formats/host-tensor.ts';
import { swinKeys, vitKeys } from './family-keys.ts';
import { type Architecture, adaptTensors } from './index.ts';
import type { OtherKeys } from './other-keys.ts';
import { swin } from './swin.ts';
import { type VitOptions, vit } from './vit.ts';

/** A network of a family, made to fit some weights. */
export interface Member {
  readonly name: string;
  readonly summary: string;
  readonly architecture: Architecture;
  /** How many values it gives: classes, or the numbers of an embedding. */
  readonly outputs: number;
  /** Set where it gives an embedding, because its weights have no head. */
  readonly isEmbedding?: boolean;
  /** What its pictures were shifted and scaled by: ImageNet's mean and deviation, or to -1 to 1. */
  readonly colours: 'imagenet' | 'half';
}

type Shapes = (key: string) => readonly number[] | undefined;

interface Family {
  readonly keys: (tensors: StateDict) => OtherKeys;
  /** Keys that published weights have and the graph does without. */
  readonly unused: RegExp;
  /** The network that weights under the family's own keys are of; undefined where they are of none. */
  readonly read: (shapes: Shapes, tensors: StateDict) => (Omit<Member, 'architecture'> & Made) | undefined;
}

interface Made {
  readonly graph: Architecture['graph'];
  readonly targetLayer: string;
  readonly inputSize: Architecture['inputSize'];
}

/** Far more blocks than any network has. */
const MOST_BLOCKS = 200;

/** How many of keys counted from 0 there are. */
const countOf = (shapes: Shapes, key: (i: number) => string): number => {
  let count = 0;
  while (count < MOST_BLOCKS && shapes(key(count))) count++;
  return count;
};

/** The inputs of the last layer, whatever it is called: of the one matrix that none of `others` names. */
const headWidth = (tensors: StateDict, others: RegExp): number | undefined => {
  const isHead = ([key, { shape }]: [string, HostTensor]) =>
    key.endsWith('.weight') && shape.length === 2 && !others.test(key);
  const heads = [...tensors].filter(isHead);
  return heads.length === 1 ? heads[0]![1].shape[1] : undefined;
};

/** The width of a head of attention, which no shape tells: 64, but in ViT-Huge. */
const HEAD_WIDTH = (width: number) => (width === 1280 ? 80 : 64);

const vits: Family = {
  keys: () => vitKeys,
  unused: /(^|\.)mask_token$|^pooler\./,
  read(shapes, tensors) {
    const [width, , patch, other] = shapes('patch_embed.proj.weight') ?? [];
    const tokens = shapes('pos_embed')?.[1];
    const hidden = shapes('blocks.0.mlp.fc1.weight')?.[0];
    if (!width || !patch || patch !== other || !tokens || !hidden || !shapes('cls_token')) return undefined;
    const registers = shapes('reg_token')?.[1] ?? 0;
    const classTokens = shapes('dist_token') ? 2 : 1;
    const positioned = (['all', 'classes', 'patches'] as const).find((which) =>
      Number.isInteger(
        Math.sqrt(tokens - { all: classTokens + registers, classes: classTokens, patches: 0 }[which]),
      ),
    );
    if (positioned === undefined || width % HEAD_WIDTH(width) !== 0) return undefined;
    const learnt = { all: classTokens + registers, classes: classTokens, patches: 0 }[positioned];
    const image = Math.sqrt(tokens - learnt) * patch;
    const depth = countOf(shapes, (i) => `blocks.${i}.norm1.weight`);
    const seen = headWidth(tensors, /^(blocks\.|head_dist\.)/);
    const isScaled = shapes('blocks.0.ls1.gamma') !== undefined;
    const options: Omit<VitOptions, 'classes'> = {
      image,
      patch,
      width,
      depth,
      hidden,
      heads: width / HEAD_WIDTH(width),
      registers,
      positioned,
      layerScale: isScaled,
      ...(classTokens === 2 && { distilled: shapes('head_dist.weight') ? true : 'token' }),
      head:
        seen === undefined
          ? 'none'
          : shapes('fc_norm.weight')
            ? 'mean'
            : seen === 2 * width
              ? 'both'
              : 'token',
    };
    return {
      name: `vit_patch${patch}_${image}`,
      summary: `a vision transformer of ${depth} blocks, ${width} wide${registers > 0 ? `, ${registers} registers` : ''}`,
      outputs: seen === undefined ? width : 1000,
      isEmbedding: seen === undefined,
      colours: isScaled || classTokens === 2 ? 'imagenet' : 'half',
      graph: (classes = 1000) => vit({ ...options, classes }),
      targetLayer: `blocks.${depth - 1}.norm1`,
      inputSize: [image, image],
    };
  },
};

const swins: Family = {
  keys: swinKeys,
  unused: /\.relative_position_index$|\.attn_mask$/,
  read(shapes) {
    const [width, , patch, other] = shapes('features.0.0.weight') ?? [];
    const stages = countOf(shapes, (i) => `features.${2 * i + 1}.0.norm1.weight`);
    const tables = Array.from({ length: stages }, (_, i) =>
      shapes(`features.${2 * i + 1}.0.attn.relative_position_bias_table`),
    );
    const window = (Math.sqrt(tables[0]?.[0] ?? 0) + 1) / 2;
    if (!width || !patch || patch !== other || !Number.isInteger(window)) return undefined;
    const depths = tables.map((_, i) => countOf(shapes, (k) => `features.${2 * i + 1}.${k}.norm1.weight`));
    const heads = tables.map((table) => table?.[1] ?? 1);
    // Pictures for which the last map is one window.
    const side = window * patch * 2 ** (stages - 1);
    return {
      name: `swin_window${window}`,
      summary: `a Swin transformer of ${depths.join(', ')} blocks, from ${width} channels on`,
      outputs: 1000,
      colours: 'imagenet',
      graph: (classes = 1000) => swin({ patch, width, depths, heads, window, classes }),
      targetLayer: 'permute',
      inputSize: [side, side],
    };
  },
};

/** The network of a family that weights are of. */
export function memberOf(tensors: StateDict): Member | undefined {
  for (const { keys, unused, read } of [vits, swins]) {
    const otherKeys = keys(tensors);
    const naming = {
      targetLayer: '',
      inputSize: [1, 1],
      otherKeys: () => otherKeys,
      unusedKeys: unused,
    } as const;
    const empty = { nodes: [], output: '' };
    const adapted = adaptTensors({ ...naming, graph: () => empty }, empty, tensors);
    const found = read((key) => adapted.get(key)?.shape, adapted);
    if (found === undefined) continue;
    const { graph, targetLayer, inputSize, ...rest } = found;
    return { ...rest, architecture: { ...naming, graph, targetLayer, inputSize } };
  }
  return undefined;
}
