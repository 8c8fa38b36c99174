// What the JSON files that are published beside weights say about pictures: Hugging Face's preprocessor_config.json,
// timm's config.json, Teachable Machine's metadata.json.

import type { Interpolation, Preprocessing } from './preprocess.ts';
import { interpolations, presets } from './preprocess.ts';

type Json = Readonly<Record<string, unknown>>;
type Said = Omit<Partial<Preprocessing>, 'channels'>;
type Sides = readonly [height: number, width: number];

/**
 * How pictures become inputs, as far as a parsed file says it; undefined where it says nothing. Numbers are not checked
 * (`checkPreprocessing` does that), and the number of channels is the network's to say.
 */
export function preprocessingIn(config: unknown): Said | undefined {
  if (!isObject(config)) return undefined;
  for (const { holds, read } of readers) if (holds(config)) return read(config);
  return undefined;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
const numbers = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) && value.every((one) => typeof one === 'number') ? value : undefined;
const square = (side: number): Sides => [side, side];

/** Formats by what tells them from others. */
const readers: readonly { holds: (config: Json) => boolean; read: (config: Json) => Said }[] = [
  {
    holds: (config) => isObject(config.pretrained_cfg),
    read: ({ pretrained_cfg }) => timm(pretrained_cfg as Json),
  },
  { holds: ({ input_size, crop_pct }) => Array.isArray(input_size) && crop_pct !== undefined, read: timm },
  {
    holds: ({ image_mean, do_resize }) => image_mean !== undefined || do_resize !== undefined,
    read: huggingFace,
  },
  { holds: ({ packageName }) => packageName === '@teachablemachine/image', read: teachableMachine },
];

/** timm's `pretrained_cfg`; its evaluation scales to the size divided by crop_pct, in one of three modes. */
function timm(config: Json): Said {
  const [, height, width] = numbers(config.input_size) ?? [];
  const share = number(config.crop_pct) ?? 0.875;
  const scaled = (side: number) => Math.floor(side / share);
  const size = height !== undefined && width !== undefined ? ([height, width] as const) : undefined;
  const modes: Readonly<Record<string, Preprocessing['resize']>> = size
    ? { squash: [scaled(height!), scaled(width!)], border: 'pad' }
    : {};
  const resize = modes[String(config.crop_mode)] ?? (height === width && size ? scaled(height!) : undefined);
  return {
    scale: 255,
    ...(size && { size, resize }),
    ...(interpolations.includes(config.interpolation as Interpolation) && {
      interpolation: config.interpolation as Interpolation,
    }),
    ...(numbers(config.mean) && { mean: numbers(config.mean)! }),
    ...(numbers(config.std) && { std: numbers(config.std)! }),
  };
}

/** Pillow's numbers of its filters. */
const RESAMPLE: readonly Interpolation[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** The image processors of Hugging Face's transformers, of version 4.25 (sizes by name) and before (one number). */
function huggingFace(config: Json): Said {
  const scale = config.do_rescale === false ? 1 : 1 / (number(config.rescale_factor) ?? 1 / 255);
  const normalises = config.do_normalize !== false;
  // EfficientNet's can take 1 away between scaling and normalising.
  const offset = config.rescale_offset === true ? 1 : 0;
  const mean = (normalises && numbers(config.image_mean)) || [0];
  const interpolation = RESAMPLE[number(config.resample) ?? -1];
  return {
    // Rounding 1 / (1 / 255) gives 255 again, and 1 / 0.00392156862745098 does.
    scale: Math.abs(scale - Math.round(scale)) < 1e-6 ? Math.round(scale) : scale,
    mean: mean.map((value) => value + offset),
    std: (normalises && numbers(config.image_std)) || [1],
    ...(interpolation && { interpolation }),
    ...(config.do_resize !== false && framing(config)),
  };
}

/** Processors that scaled the shorter side when `size` was one number; the others stretched. */
const BY_SHORTER_SIDE = /CLIP|ConvN|PoolFormer|MobileNet/;
/** ConvNeXt's stretches to sizes from here on, and leaves crop_pct aside. */
const STRETCHED_FROM = 384;

function framing(config: Json): Pick<Preprocessing, 'size' | 'resize'> | undefined {
  const cropped = config.do_center_crop === true ? sides(config.crop_size) : undefined;
  const both = sides(config.size);
  const kind = String(config.image_processor_type ?? config.feature_extractor_type);
  const share = number(config.crop_pct);
  const byShorterSide =
    typeof config.size === 'number' && (share !== undefined || BY_SHORTER_SIDE.test(kind));
  const shorter = isObject(config.size)
    ? number(config.size.shortest_edge)
    : byShorterSide
      ? both?.[0]
      : undefined;
  if (shorter === undefined) return both && { size: cropped ?? both, resize: both };
  if (cropped !== undefined || share === undefined)
    return { size: cropped ?? square(shorter), resize: shorter };
  if (shorter >= STRETCHED_FROM) return { size: square(shorter), resize: square(shorter) };
  return { size: square(shorter), resize: Math.floor(shorter / share) };
}

/** A size as one number or as {height, width}. */
function sides(size: unknown): Sides | undefined {
  if (typeof size === 'number') return square(size);
  const [height, width] = isObject(size) ? [number(size.height), number(size.width)] : [];
  return height !== undefined && width !== undefined ? [height, width] : undefined;
}

/** Teachable Machine's networks take -1 to 1. */
function teachableMachine({ imageSize }: Json): Said {
  const { scale, mean, std } = presets.tf;
  return { scale, mean, std, ...(number(imageSize) !== undefined && { size: square(imageSize as number) }) };
}
