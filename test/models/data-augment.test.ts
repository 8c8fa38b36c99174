import test from 'tape';
import { ShapeError } from '../../engine/errors.ts';
import { type BatchOptions, batch } from '../../models/train/data/augment.ts';
import { DataError, type LabelledImages } from '../../models/train/data/labelled-images.ts';
import { below, type Random, random } from '../../models/train/data/random.ts';

function noise(count: number, channels: number, height: number, width: number): LabelledImages {
  const next = random(count + channels + height + width);
  const pixels = Uint8Array.from({ length: count * channels * height * width }, () => below(256, next));
  return { count, channels, height, width, pixels, labels: new Uint8Array(count), classes: ['noise'] };
}

/** One step after another on nested arrays, with the mirrored border really laid round the image. */
function slowly(images: LabelledImages, index: number, options: BatchOptions, next: Random): number[] {
  const { channels, height, width, pixels } = images;
  const { flip, shift = 0, cutout = 0, mean, std } = options;
  const mirrored = flip && next() < 0.5;
  const down = shift && below(2 * shift + 1, next);
  const right = shift && below(2 * shift + 1, next);
  const cy = cutout && below(height, next);
  const cx = cutout && below(width, next);

  /** `line` with `shift` samples mirrored before and after it, the end samples not repeated. */
  const pad = <T>(line: T[]): T[] => [
    ...line.slice(1, shift + 1).reverse(),
    ...line,
    ...line.slice(line.length - 1 - shift, line.length - 1).reverse(),
  ];
  const out: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    let plane = Array.from({ length: height }, (_, y) => {
      const start = ((index * channels + channel) * height + y) * width;
      return [...pixels.subarray(start, start + width)];
    });
    if (mirrored) plane = plane.map((row) => row.reverse());
    plane = pad(plane).slice(down, down + height);
    plane = plane.map((row) => pad(row).slice(right, right + width));
    const values = plane.map((row) =>
      row.map((value) => Math.fround((value / 255 - mean[channel]) / std[channel])),
    );
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [dy, dx] = [y - (cy - (cutout >> 1)), x - (cx - (cutout >> 1))];
        const hidden = dy >= 0 && dy < cutout && dx >= 0 && dx < cutout;
        out.push(hidden ? 0 : values[y][x]);
      }
    }
  }
  return out;
}

const shapes = [
  [3, 3, 8, 8],
  [2, 1, 5, 7],
  [4, 2, 11, 6],
];
const choices: Record<string, Pick<BatchOptions, 'flip' | 'shift' | 'cutout'>> = {
  nothing: {},
  flip: { flip: true },
  shift: { shift: 4 },
  'odd cutout': { cutout: 3 },
  everything: { flip: true, shift: 2, cutout: 4 },
  'cutout of all': { cutout: 100 },
};

test('batch: equals the slow reference', (t) => {
  for (const shape of shapes) {
    const [count, channels, height, width] = shape;
    const images = noise(count, channels, height, width);
    const statistics = {
      mean: [0.49, 0.48, 0.45].slice(0, channels),
      std: [0.25, 0.2, 0.3].slice(0, channels),
    };
    for (const [name, choice] of Object.entries(choices)) {
      const options = { ...statistics, ...choice };
      const indices = Array.from({ length: 20 }, (_, i) => (i * 7) % count);
      const out = new Float32Array(indices.length * channels * height * width).fill(Number.NaN);
      batch(images, indices, options, random(9), out);
      const next = random(9);
      const expected = indices.flatMap((index) => slowly(images, index, options, next));
      t.deepEqual([...out], expected, `[${shape}], ${name}`);
    }
  }
  t.end();
});

test('batch: without augmentation no number is drawn, and no image is a batch too', (t) => {
  const images = noise(2, 1, 1, 1);
  const never = () => {
    throw new Error('drawn');
  };
  const out = new Float32Array(2);
  batch(images, [1, 0], { mean: [0], std: [1 / 255] }, never, out);
  t.ok(
    out.every((value, i) => Math.abs(value - images.pixels[1 - i]) < 1e-4),
    'a picture of one pixel',
  );
  batch(images, [], { mean: [0], std: [1] }, never, new Float32Array(0));
  t.end();
});

test('batch: what does not fit is refused before anything is written', (t) => {
  const images = noise(2, 1, 4, 6);
  const fine = { mean: [0], std: [1] };
  const refused = (
    error: typeof DataError | typeof ShapeError,
    pattern: RegExp,
    options: BatchOptions,
    indices = [0],
    length = 24,
  ) => {
    const out = new Float32Array(length).fill(7);
    let thrown: unknown;
    try {
      batch(images, indices, options, random(1), out);
    } catch (caught) {
      thrown = caught;
    }
    t.ok(thrown instanceof error && pattern.test(thrown.message), String(thrown));
    t.ok(
      out.every((value) => value === 7),
      'out is untouched',
    );
  };
  refused(ShapeError, /23 elements, expected 24/, fine, [0], 23);
  refused(ShapeError, /2 means/, { ...fine, mean: [0, 0] });
  refused(ShapeError, /0 deviations/, { ...fine, std: [] });
  refused(DataError, /std/, { ...fine, std: [0] });
  refused(DataError, /std/, { ...fine, std: [Number.NaN] });
  refused(DataError, /mean/, { ...fine, mean: [Number.NaN] });
  for (const shift of [4, -1, 1.5, Number.NaN]) refused(DataError, /from 0 to 3/, { ...fine, shift });
  for (const cutout of [-1, 0.5, Number.NaN]) refused(DataError, /cutout/, { ...fine, cutout });
  for (const index of [-1, 2, 0.5]) refused(DataError, /index 0 is/, fine, [index]);
  t.end();
});
