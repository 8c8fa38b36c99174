// The networks whose published weights Limelight fetches by name: all from timm's repositories on the Hugging Face
// hub, with timm's own evaluation as their preprocessing (the pretrained configurations of timm 1.0); CLIP's as open_clip
// has them, which are OpenAI's.
//
// The checksums are those that the hub shows for the files, or that several projects which use them have published.
// Where none was found it is left out; then the first download is trusted and its checksum recorded.

import type { Interpolation, Preprocessing } from '../preprocess.ts';
import type { RemoteFile } from './remote-file.ts';

export interface Published {
  readonly weights: RemoteFile;
  /** Of the weights, as the hub has it. */
  readonly licence: string;
  readonly preprocessing: Preprocessing;
  /** How texts become tokens, in the format of Hugging Face's tokenizers. */
  readonly tokenizer?: RemoteFile;
}

/** English names of ImageNet's 1000 classes. */
export const imagenetLabels: RemoteFile = {
  name: 'imagenet_classes.txt',
  url: 'https://raw.githubusercontent.com/pytorch/hub/c7895df70c7767403e36f82786d6b611b7984557/imagenet_classes.txt',
  bytes: 10_472,
  sha256: '1f386e0d1cb6e28b9c2dac651c3dea6801e98ad1b41a14ce6bb1a093d72069f5',
};

/** Pictures as timm prepares them: shorter side to 224 / crop ratio, the middle 224 x 224 of it. */
const prepared = (interpolation: Interpolation, resize: number, [mean, std]: Colours): Preprocessing => ({
  channels: 3,
  size: [224, 224],
  resize,
  interpolation,
  scale: 255,
  mean,
  std,
});

type Colours = readonly [mean: readonly number[], std: readonly number[]];
const imagenet: Colours = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
];
const half: Colours = [[0.5], [0.5]];
const openai: Colours = [
  [0.48145466, 0.4578275, 0.40821073],
  [0.26862954, 0.26130258, 0.27577711],
];

const bilinear = prepared('bilinear', 256, imagenet);
const bicubic = prepared('bicubic', 256, imagenet);
const transformer = prepared('bicubic', 248, half);

/** Architecture, repository, size in megabytes, licence, preprocessing, SHA-256. */
type Row = readonly [
  name: string,
  repository: string,
  megabytes: number,
  licence: string,
  preprocessing: Preprocessing,
  sha256?: string,
];

const [BSD, APACHE] = ['BSD-3-Clause', 'Apache-2.0'];

// biome-ignore format: a table
const rows: readonly Row[] = [
  ['resnet18', 'resnet18.tv_in1k', 46.8, BSD, bilinear, '694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81'],
  ['resnet34', 'resnet34.tv_in1k', 87.3, BSD, bilinear, '0bb82595a564991a9d424708b33f5d843f5aaed7f6c0886ff10849ff97022235'],
  ['resnet50', 'resnet50.tv_in1k', 102.5, BSD, bilinear, '5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888'],
  ['vgg11', 'vgg11.tv_in1k', 531, BSD, bilinear, '682c023808812148d4e60c76d80ad83dbeaf5d50eb1a952a0b836895003151e5'],
  ['vgg13', 'vgg13.tv_in1k', 532, BSD, bilinear],
  ['vgg16', 'vgg16.tv_in1k', 553, BSD, bilinear, '57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8'],
  ['vgg19', 'vgg19.tv_in1k', 575, BSD, bilinear, '11aea017b543ff59233749d8f1cf544cda749378f5790d2fedab841fb86b7669'],
  ['vgg11_bn', 'vgg11_bn.tv_in1k', 531, BSD, bilinear],
  ['vgg13_bn', 'vgg13_bn.tv_in1k', 532, BSD, bilinear, '7dae235e35772693cd527e7ac9ef8f6594707a14a8d26aabdb83c0baa6847861'],
  ['vgg16_bn', 'vgg16_bn.tv_in1k', 554, BSD, bilinear, '88bbedbc8e780413736db38ac4efd41b06fc0e93fd5b8879b584bba63a950129'],
  ['vgg19_bn', 'vgg19_bn.tv_in1k', 575, BSD, bilinear, 'f8249087e63bae61c6166bb23d7c26efe1b2a43fd9fb5cd60ac6ce00535ba312'],
  ['densenet121', 'densenet121.tv_in1k', 32.3, APACHE, bicubic, 'c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358'],
  ['mobilenetv2_100', 'mobilenetv2_100.ra_in1k', 14.2, APACHE, bicubic, '55ea4fb3a96010b933710ebf44fc965b070d5cd054d3f35e44f2d1320b4a714e'],
  ['mobilenetv3_small_100', 'mobilenetv3_small_100.lamb_in1k', 10.2, APACHE, bicubic, '46d2c063b18125884c48937afa4c49e18128869e52e8db96df48bf0a4d7ff697'],
  ['mobilenetv3_large_100', 'mobilenetv3_large_100.ra_in1k', 22.1, APACHE, bicubic, 'f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85'],
  ['efficientnet_b0', 'efficientnet_b0.ra_in1k', 21.4, APACHE, bicubic, 'd569899762ea9b1384ee07f4af64805cf8caa1c55f9253ebb1080dc40e87a2cd'],
  ['vit_tiny_patch16_224', 'vit_tiny_patch16_224.augreg_in21k_ft_in1k', 22.9, APACHE, transformer, 'fecf81b492bd13ee7a5297cb74d1d417aac8bf7e1b7d96aed89c4691984587ed'],
  ['vit_small_patch16_224', 'vit_small_patch16_224.augreg_in21k_ft_in1k', 88.2, APACHE, transformer],
  ['vit_base_patch16_224', 'vit_base_patch16_224.augreg2_in21k_ft_in1k', 346, APACHE, transformer, '32aa17d6e17b43500f531d5f6dc9bc93e56ed8841b8a75682e1bb295d722405b'],
];

const clipTokenizer: RemoteFile = {
  name: 'clip-tokenizer.json',
  url: 'https://huggingface.co/openai/clip-vit-base-patch32/resolve/3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268/tokenizer.json',
  bytes: 2_224_041,
  sha256: 'b556ac8c99757ffb677208af34bc8c6721572114111a6e0aaf5fa69ff0b8d842',
};

// biome-ignore format: a table
const clipRows: readonly (readonly [name: string, repository: string, megabytes: number, sha256: string])[] = [
  ['clip-vit-base-patch32', 'vit_base_patch32_clip_224.openai', 605, 'e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31'],
  ['clip-vit-base-patch16', 'vit_base_patch16_clip_224.openai', 599, '4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f'],
  ['clip-rn50', 'resnet50_clip.openai', 408, 'da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee'],
];

const remote = (repository: string, file: string, megabytes: number, sha256?: string): RemoteFile => ({
  name: `${repository}.safetensors`,
  url: `https://huggingface.co/timm/${repository}/resolve/main/${file}.safetensors`,
  bytes: megabytes * 1e6,
  ...(sha256 !== undefined && { sha256 }),
});

/** By the name of the network. */
export const published: ReadonlyMap<string, Published> = new Map<string, Published>([
  ...rows.map(([name, repository, megabytes, licence, preprocessing, sha256]) => {
    const weights = remote(repository, 'model', megabytes, sha256);
    return [name, { weights, licence, preprocessing }] as const;
  }),
  ...clipRows.map(([name, repository, megabytes, sha256]) => {
    const weights = remote(repository, 'open_clip_model', megabytes, sha256);
    const preprocessing = prepared('bicubic', 224, openai);
    return [name, { weights, licence: 'MIT', preprocessing, tokenizer: clipTokenizer }] as const;
  }),
]);
