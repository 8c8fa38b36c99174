import test from 'tape';
import { preprocessingIn } from '../../models/picture-config.ts';
import { checkPreprocessing, type Preprocessing } from '../../models/preprocess.ts';

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
const colours = ({ mean, std }: typeof half) => ({ image_mean: mean, image_std: std });
const byName = (side: number) => ({ height: side, width: side });

/** Files as they are published, and what their libraries do with them. */
const files: readonly (readonly [title: string, file: object, expected: Partial<Preprocessing>])[] = [
  [
    'ViT of transformers before 4.25',
    { do_normalize: true, do_resize: true, ...colours(half), size: 224 },
    { scale: 255, ...half, size: [224, 224], resize: [224, 224] },
  ],
  [
    'ViT of transformers',
    {
      do_normalize: true,
      do_rescale: true,
      do_resize: true,
      ...colours(half),
      image_processor_type: 'ViTImageProcessor',
      resample: 2,
      rescale_factor: 0.00392156862745098,
      size: byName(384),
    },
    { scale: 255, ...half, interpolation: 'bilinear', size: [384, 384], resize: [384, 384] },
  ],
  [
    'DeiT, which stretches before it crops',
    {
      crop_size: 224,
      do_center_crop: true,
      do_normalize: true,
      do_resize: true,
      feature_extractor_type: 'DeiTFeatureExtractor',
      ...colours(imagenet),
      resample: 3,
      size: 256,
    },
    { scale: 255, ...imagenet, interpolation: 'bicubic', size: [224, 224], resize: [256, 256] },
  ],
  [
    'ResNet, whose processor is ConvNeXt’s',
    {
      crop_pct: 0.875,
      do_normalize: true,
      do_resize: true,
      feature_extractor_type: 'ConvNextFeatureExtractor',
      ...colours(imagenet),
      resample: 3,
      size: 224,
    },
    { scale: 255, ...imagenet, interpolation: 'bicubic', size: [224, 224], resize: 256 },
  ],
  [
    'ConvNeXt of 384, which stretches',
    { crop_pct: 0.875, do_resize: true, ...colours(imagenet), size: { shortest_edge: 384 } },
    { scale: 255, ...imagenet, size: [384, 384], resize: [384, 384] },
  ],
  [
    'DINOv2',
    {
      crop_size: byName(224),
      do_center_crop: true,
      do_resize: true,
      ...colours(imagenet),
      image_processor_type: 'BitImageProcessor',
      resample: 3,
      rescale_factor: 0.00392156862745098,
      size: { shortest_edge: 256 },
    },
    { scale: 255, ...imagenet, interpolation: 'bicubic', size: [224, 224], resize: 256 },
  ],
  [
    'values that are neither scaled nor normalised',
    { do_rescale: false, do_normalize: false, do_resize: false, ...colours(half) },
    { scale: 1, mean: [0], std: [1] },
  ],
  [
    'EfficientNet with an offset',
    { do_resize: false, do_normalize: false, rescale_factor: 1 / 127.5, rescale_offset: true },
    { scale: 127.5, mean: [1], std: [1] },
  ],
  [
    'timm on the hub',
    {
      architecture: 'resnet18',
      num_classes: 1000,
      pretrained_cfg: {
        input_size: [3, 224, 224],
        interpolation: 'bicubic',
        crop_pct: 0.95,
        crop_mode: 'center',
        ...imagenet,
      },
    },
    { scale: 255, ...imagenet, interpolation: 'bicubic', size: [224, 224], resize: 235 },
  ],
  [
    'timm that squashes',
    { input_size: [3, 384, 384], crop_pct: 1, crop_mode: 'squash', interpolation: 'bicubic', ...half },
    { scale: 255, ...half, interpolation: 'bicubic', size: [384, 384], resize: [384, 384] },
  ],
  [
    'Teachable Machine',
    { tfjsVersion: '1.3.1', packageName: '@teachablemachine/image', labels: ['a', 'b'], imageSize: 224 },
    { scale: 127.5, mean: [1], std: [1], size: [224, 224] },
  ],
];
for (const [title, file, expected] of files) {
  test(`preprocessing from a file: ${title}`, (t) => {
    const said = preprocessingIn(JSON.parse(JSON.stringify(file)))!;
    t.ok(Math.abs(said.scale! - expected.scale!) < 1e-9);
    t.deepEqual({ ...said, scale: expected.scale }, expected);
    t.doesNotThrow(() => checkPreprocessing({ channels: 3, scale: 1, mean: [0], std: [1], ...said }));
    t.end();
  });
}

test('files that say nothing of pictures, or nonsense', (t) => {
  for (const nothing of [
    null,
    7,
    'text',
    [],
    {},
    { id2label: { 0: 'a' } },
    { packageName: 'else' },
    { size: 224 },
  ])
    t.equal(preprocessingIn(nothing), undefined, JSON.stringify(nothing));
  for (const nonsense of [
    { pretrained_cfg: { input_size: 'large', mean: ['a'], crop_pct: null, interpolation: 'constructor' } },
    { image_mean: {}, image_std: [null], size: { height: '224' }, crop_size: [], resample: 'three' },
  ]) {
    t.doesNotThrow(() => preprocessingIn(nonsense));
  }
  t.end();
});
