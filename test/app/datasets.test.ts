// Data sets: what is read of each layout, and what is said of files that are wrong.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test, { type Test } from 'tape';
import { readCoco } from '../../app/datasets/coco.ts';
import { readCsv } from '../../app/datasets/csv.node.ts';
import { readCub } from '../../app/datasets/cub.ts';
import { type DataSet, DataSetError } from '../../app/datasets/data-set.ts';
import { openFiles } from '../../app/datasets/files.node.ts';
import { mosaicsOf } from '../../app/datasets/mosaics.node.ts';
import { readVoc } from '../../app/datasets/voc.node.ts';
import { encodePng } from '../../app/image/decode.ts';
import { type Preprocessing, visibleBox, visiblePixels } from '../../models/preprocess.ts';
import { inFolder } from './limelight.ts';

const png = (width: number, height: number, value: (i: number) => number = () => 200) =>
  encodePng({
    width,
    height,
    rgb: Uint8Array.from({ length: 3 * width * height }, (_, i) => value(Math.floor(i / 3))),
  });

/** Writes files by their paths. */
function fill(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

const namesOf = ({ items }: DataSet) => items.map(({ name }) => name);

/** Expects a DataSetError that says all of these. */
async function refuses(t: Test, work: () => unknown, ...said: string[]): Promise<void> {
  try {
    await work();
    t.fail(`nothing was thrown; expected ${said.join(', ')}`);
  } catch (error) {
    const { message } = error as Error;
    t.ok(error instanceof DataSetError && said.every((part) => message.includes(part)), message);
  }
}

test('data: a folder a class, read in the order of names', async (t) => {
  await inFolder(async (folder) => {
    fill(folder, {
      'b/2.png': png(4, 3),
      'a/1.png': png(4, 3),
      'a/notes.txt': 'no picture',
      'c.png': png(2, 2),
    });
    const data = await openFiles(folder);
    t.deepEqual(namesOf(data), ['a/1.png', 'b/2.png', 'c.png']);
    t.deepEqual(data.labels, ['a', 'b']);
    t.deepEqual(data.notes, ['1 of 3 pictures have no label']);
    const { pixels, objects } = await (await data.items[0]!.read()).decode();
    t.deepEqual([pixels.width, pixels.height, objects], [4, 3, [{ label: 'a', boxes: [] }]]);
    const digests = async () =>
      Promise.all((await openFiles(folder)).items.map(async (one) => (await one.read()).digest));
    const before = await digests();
    t.equal(new Set(before).size, 3, 'equal pictures of other names are others');
    fill(folder, { '0/0.png': png(1, 1) });
    t.deepEqual((await digests()).slice(1), before, 'whatever else is there');
    fill(folder, { 'b/2.png': png(4, 3, () => 7) });
    t.notEqual((await digests())[2], before[1], 'another picture under a name');
  });
  t.end();
});

test('data: boxes of COCO, Pascal VOC, CUB and CSV', (t) => {
  const coco = {
    images: [
      { id: 7, file_name: 'x.png' },
      { id: 8, file_name: 'empty.png' },
    ],
    categories: [
      { id: 1, name: 'cat' },
      { id: 2, name: 'dog' },
    ],
    annotations: [
      { image_id: 7, category_id: 1, bbox: [1, 2, 3, 4] },
      { image_id: 7, category_id: 2, bbox: [0, 0, 1.5, 1] },
      { image_id: 7, category_id: 1, bbox: [5, 5, 1, 1], iscrowd: 0 },
      { image_id: 7, category_id: 1, bbox: [0, 0, 9, 9], iscrowd: 1 },
      { image_id: 8, category_id: 2, bbox: [0, 0, 9, 9], iscrowd: 1 },
    ],
  };
  t.deepEqual(readCoco(JSON.stringify(coco), 'c.json'), [
    {
      file: 'x.png',
      objects: [
        {
          label: 'cat',
          boxes: [
            [1, 2, 4, 6],
            [5, 5, 6, 6],
          ],
          ignored: [[0, 0, 9, 9]],
        },
        { label: 'dog', boxes: [[0, 0, 1.5, 1]] },
      ],
    },
    { file: 'empty.png', objects: [] },
  ]);

  const box = (x0: number, y0: number, x1: number, y1: number) =>
    `<bndbox><xmin>${x0}</xmin><ymin>${y0}</ymin><xmax>${x1}</xmax><ymax>${y1}</ymax></bndbox>`;
  const voc = `<annotation><folder>VOC</folder><filename>1.jpg</filename>
    <object><name>person</name><difficult>0</difficult>${box(1, 1, 10, 20)}
      <part><name>head</name>${box(2, 2, 3, 3)}</part></object>
    <object><name>dog</name><difficult>1</difficult>${box(4, 4, 5, 5)}</object></annotation>`;
  t.deepEqual(
    readVoc(voc, 'v.xml'),
    [
      { file: '1.jpg' },
      { file: '1.jpg', label: 'person', box: [0, 0, 10, 20] },
      { file: '1.jpg', label: 'dog', box: [3, 3, 5, 5], isIgnored: true },
    ],
    'the pixels 1 .. 10 are the edges 0 and 10; difficult ones ignored, no parts',
  );

  const cub = {
    images: '1 001.A/a.jpg\n2 002.B/b.jpg\n',
    labels: '1 1\n2 2\n',
    classes: '1 001.Black_Albatross\n2 002.Wren\n',
    boxes: '1 60.0 27.0 325.0 304.0\n2 1 2 3 4\n',
  };
  const first = {
    file: 'images/001.A/a.jpg',
    objects: [{ label: 'Black_Albatross', boxes: [[60, 27, 385, 331]] }],
  };
  t.deepEqual(readCub(cub)[0], first);
  t.deepEqual(readCub({ ...cub, split: '1 0\n2 1\n' }), [first], 'test pictures only');

  const csv = 'file,class,x0,y0,x1,y1\n"a,1.png",cat,0,0,2,3\nb.png,dog,,,,\n"a,1.png",cat,4,4,5,5\n';
  t.deepEqual(readCsv(csv, 'd.csv'), [
    {
      file: 'a,1.png',
      objects: [
        {
          label: 'cat',
          boxes: [
            [0, 0, 2, 3],
            [4, 4, 5, 5],
          ],
        },
      ],
    },
    { file: 'b.png', objects: [{ label: 'dog', boxes: [] }] },
  ]);
  t.end();
});

test('data: annotations that are wrong are named by file and place', async (t) => {
  const coco = (annotation: unknown) =>
    JSON.stringify({
      images: [{ id: 1, file_name: 'x.png' }],
      categories: [{ id: 1, name: 'cat' }],
      annotations: [annotation],
    });
  await refuses(t, () => readCoco('{\n"images": [}', 'c.json'), 'c.json', 'JSON');
  await refuses(t, () => readCoco('[]', 'c.json'), 'c.json', 'images');
  await refuses(t, () => readCoco('{"images": 3}', 'c.json'), '"images"');
  await refuses(t, () => readCoco(coco({ image_id: 2 }), 'c.json'), 'annotations[0]', 'id 2');
  const cat = { image_id: 1, category_id: 1 };
  await refuses(t, () => readCoco(coco({ ...cat, category_id: null }), 'c.json'), 'category', 'null');
  await refuses(t, () => readCoco(coco(cat), 'c.json'), 'annotations[0]', 'bbox');
  for (const bbox of [
    [1, 2, 0, 4],
    [1, 2, -3, 4],
    [1, 2, 3],
    ['a', 2, 3, 4],
    [1, 2, 3, null],
  ]) {
    await refuses(t, () => readCoco(coco({ ...cat, bbox }), 'c.json'), 'annotations[0]', 'no box');
  }
  await refuses(t, () => readVoc('<annotation>\n<object></annotation>', 'v.xml'), 'v.xml:2');
  await refuses(
    t,
    () => readVoc('<annotation>\n<object>\n</object></annotation>', 'v.xml'),
    'v.xml:3',
    'name',
  );
  await refuses(
    t,
    () => readVoc('<annotation><object><name>a</name></object></annotation>', 'v.xml'),
    'no box',
  );
  await refuses(t, () => readVoc('<html></html>', 'v.xml'), 'no filename');
  await refuses(t, () => readVoc('', 'v.xml'), 'v.xml');
  const bomb =
    '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotation><filename>&c;</filename></annotation>';
  await refuses(t, () => readVoc(bomb, 'v.xml'), 'v.xml:1');
  const cub = { images: '1 a.jpg\n', labels: '1 1\n', classes: '1 A\n', boxes: '1 1 2 3 4\n' };
  await refuses(t, () => readCub({ ...cub, images: '1 a.jpg\nx\n' }), 'images.txt:2');
  await refuses(t, () => readCub({ ...cub, images: '1 a.jpg\n1 b.jpg' }), 'images.txt:2', 'already');
  await refuses(t, () => readCub({ ...cub, labels: '2 1\n' }), 'image_class_labels.txt', 'no line for 1');
  await refuses(t, () => readCub({ ...cub, boxes: '1 1 2 3\n' }), 'bounding_boxes.txt:1', 'no box');
  await refuses(t, () => readCsv('file,class\na.png\n', 'd.csv'), 'd.csv', 'line 2');
  await refuses(t, () => readCsv('a,b\n1,2\n', 'd.csv'), 'd.csv:2', 'file, class');
  await refuses(t, () => readCsv('file,class,x0,y0,x1,y1\na,b,1,2,3,\n', 'd.csv'), 'd.csv:2', 'no box');
  await refuses(t, () => readCsv('file,class,x0,y0,x1,y1\na,b,5,2,3,4\n', 'd.csv'), 'd.csv:2', 'no box');
  t.end();
});

test('data: what is missing or damaged is named', async (t) => {
  await inFolder(async (folder) => {
    await refuses(t, () => openFiles(join(folder, 'nowhere')), 'nowhere', 'no data set');
    await refuses(t, () => openFiles(folder), 'no pictures');
    fill(folder, {
      'x.csv': 'file,class\ngone.png,cat\n',
      'm.csv': 'file,class\na.png,cat\n',
      'a.png': png(4, 4),
    });
    const gone = await openFiles(join(folder, 'x.csv'));
    await refuses(t, () => gone.items[0]!.read(), 'gone.png');
    const masked = async (mask: Uint8Array) => {
      fill(folder, { 'masks/a.png': mask });
      const data = await openFiles(join(folder, 'm.csv'), { masks: join(folder, 'masks') });
      return (await data.items[0]!.read()).decode();
    };
    const { objects } = await masked(png(4, 4, (i) => (i === 5 || i === 11 ? 255 : 0)));
    t.deepEqual(objects[0]!.boxes, [[1, 1, 4, 3]], 'a box around the mask');
    t.equal(Array.from(objects[0]!.mask!.data).join(''), '0000010000010000');
    await refuses(t, () => masked(png(3, 4)), 'masks/a.png', '3 x 4');
    await refuses(t, () => masked(png(4, 4, () => 0)), 'black everywhere');
    renameSync(join(folder, 'masks/a.png'), join(folder, 'masks/a.mask.png'));
    t.ok((await openFiles(join(folder, 'm.csv'), { masks: join(folder, 'masks') })).items.length === 1);
  });
  t.end();
});

test('data: mosaics hold each class once, its cell being its box', async (t) => {
  await inFolder(async (folder) => {
    const values = { a: 50, b: 100, c: 150, d: 200, e: 250 };
    for (const [name, value] of Object.entries(values)) {
      fill(folder, { [`${name}/1.png`]: png(9, 6, () => value), [`${name}/2.png`]: png(6, 6, () => value) });
    }
    const data = await openFiles(folder);
    const mosaics = await mosaicsOf(data, { n: 2, seed: 3, cell: 4 });
    t.equal(mosaics.items.length, 10);
    for (const item of mosaics.items) {
      const { pixels, objects } = await (await item.read()).decode();
      const right = objects.every(({ label, boxes: [box] }) => {
        const [x0, y0, x1, y1] = box!;
        const at = (x: number, y: number) => pixels.rgb[3 * (y * pixels.width + x)];
        return [at(x0, y0), at(x1 - 1, y1 - 1)].every((v) => v === values[label as keyof typeof values]);
      });
      t.ok(
        pixels.width === 8 && objects.length === 4 && right,
        `${item.name}: ${objects.map((o) => o.label)}`,
      );
      t.equal(new Set(objects.map(({ label }) => label)).size, 4);
    }
    const digests = (set: DataSet) => Promise.all(set.items.map(async (item) => (await item.read()).digest));
    t.deepEqual(await digests(mosaics), await digests(await mosaicsOf(data, { n: 2, seed: 3, cell: 4 })));
    await refuses(t, () => mosaicsOf(data, { n: 3, seed: 3, cell: 4 }), '9 classes', '5');
  });
  t.end();
});

test('data: boxes go where the pixels go', (t) => {
  const ways: readonly Preprocessing[] = [
    { channels: 3, scale: 255, mean: [0], std: [1] },
    { channels: 3, scale: 255, mean: [0], std: [1], size: [32, 32] },
    { channels: 3, scale: 255, mean: [0], std: [1], size: [24, 24], resize: 32 },
    { channels: 3, scale: 255, mean: [0], std: [1], size: [40, 30], resize: [40, 30] },
    { channels: 3, scale: 255, mean: [0], std: [1], size: [50, 40], resize: 'pad' },
  ];
  for (const preprocessing of ways) {
    for (const [width, height] of [
      [80, 60],
      [60, 80],
      [64, 64],
    ] as const) {
      const box = [16, 20, 48, 44] as const;
      const rgb = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
        const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
        return x >= box[0] && x < box[2] && y >= box[1] && y < box[3] ? 255 : 0;
      });
      const seen = visiblePixels(
        { preprocessing: { ...preprocessing, interpolation: 'nearest' } },
        { width, height, rgb },
      );
      let [x0, y0, x1, y1] = [seen.width, seen.height, 0, 0];
      for (let i = 0; i < seen.width * seen.height; i++) {
        if (seen.rgb[3 * i] === 0) continue;
        const [x, y] = [i % seen.width, Math.floor(i / seen.width)];
        [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x + 1), Math.max(y1, y + 1)];
      }
      const moved = visibleBox({ preprocessing }, { width, height }, box)!;
      const off = Math.max(...moved.map((edge, i) => Math.abs(edge - [x0, y0, x1, y1][i]!)));
      t.ok(
        off <= 0.51,
        `${width} x ${height} by ${JSON.stringify(preprocessing.size)}: within half a pixel, ${off}`,
      );
    }
  }
  const cropped = { channels: 3, scale: 255, mean: [0], std: [1], size: [10, 10], resize: 100 } as const;
  t.equal(
    visibleBox({ preprocessing: cropped }, { width: 100, height: 100 }, [0, 0, 9, 9]),
    undefined,
    'cut away',
  );
  t.end();
});

test('a picture that is no file is refused before it is read', { skip: process.platform === 'win32' }, (t) =>
  inFolder(async (folder) => {
    fill(folder, { 'boxes.csv': `file,class\n${relative(folder, '/dev/zero')},cat\n` });
    const { items } = await openFiles(join(folder, 'boxes.csv'));
    await refuses(t, () => items[0]!.read(), '/dev/zero', 'no file');
  }),
);
