// Which pictures a command takes, how the files that it makes of them are called, and what it never writes over.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { UsageError } from '../../app/cli/errors.ts';
import { type Destination, writeNumbers, writeSheet } from '../../app/cli/files.ts';
import { findPictures, picturesIn } from '../../app/cli/pictures.ts';
import type { Explained } from '../../app/cli/report.ts';
import { encodePng, ImageError } from '../../app/image/decode.ts';
import { writeWhole } from '../../app/image/write.node.ts';
import type { Explanation } from '../../cam/index.ts';
import { LimelightError } from '../../engine/index.ts';
import { hasStack, inFolder, limelight, limelightFed, scene, shipped } from './limelight.ts';

/** A picture of one grey. */
const png = (side: number, grey: number): Uint8Array =>
  encodePng({ width: side, height: side, rgb: new Uint8Array(3 * side * side).fill(grey) });

async function namesOf(named: readonly string[], list?: string): Promise<string[]> {
  const out: string[] = [];
  for await (const { name } of (await findPictures(named, list === undefined ? {} : { list }))())
    out.push(name);
  return out;
}

test('pictures are named by files, folders, patterns and lists', (t) =>
  inFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    mkdirSync(at('more'));
    for (const name of ['b.png', 'a.PNG', 'more/c.jpeg', 'more/d.webp']) writeFileSync(at(name), png(1, 0));
    writeFileSync(at('notes.txt'), 'no picture');
    t.deepEqual(await namesOf([folder]), [at('a.PNG'), at('b.png')], 'a folder, and not what lies deeper');
    t.deepEqual(await namesOf([at('**')]), ['a.PNG', 'b.png', 'more/c.jpeg', 'more/d.webp'].map(at));
    t.deepEqual(await namesOf([at('more/*.{jpeg,jpg}'), at('b.png')]), [at('more/c.jpeg'), at('b.png')]);
    writeFileSync(at('list.txt'), `${at('b.png')}\r\n\n${at('more')}\n`);
    t.deepEqual(await namesOf([], at('list.txt')), ['b.png', 'more/c.jpeg', 'more/d.webp'].map(at));
    writeFileSync(at('[x].png'), png(1, 0));
    t.deepEqual(await namesOf([at('[x].png')]), [at('[x].png')], 'a file is no pattern');
    const refused: readonly (readonly [named: string[], kind: typeof LimelightError, message: RegExp])[] = [
      [[], UsageError, /no picture is named/],
      [[at('none.png')], LimelightError, /none\.png: there is no such file/],
      [[at('*.gif')], LimelightError, /no .png, .jpg, .jpeg, .webp or .npy file fits/],
      [[at('notes.txt')], ImageError, /notes\.txt: the format of this file is not known/],
    ];
    for (const [named, kind, message] of refused) {
      const error = await namesOf(named).catch((thrown: unknown) => thrown);
      t.ok(error instanceof kind && message.test(error.message), String(error));
    }
    mkdirSync(at('empty'));
    t.match(String(await namesOf([at('empty')]).catch(String)), /it is a folder without/);
    t.deepEqual(await namesOf([at('notes.txt'), at('b.png')]), [at('notes.txt'), at('b.png')]);
  }));

test('jobs divide pictures', (t) =>
  inFolder(async (folder) => {
    for (const name of ['a.png', 'b.png', 'c.png']) writeFileSync(join(folder, name), png(28, 0));
    writeFileSync(join(folder, 'd.png'), png(28, 0).subarray(0, 40));
    const args = ['predict', folder, '--model', 'digit-dense', '--top', '1', '--json', '--jobs', '2'];
    const { status, stdout, stderr } = limelight(...args);
    t.equal(status, 1);
    t.match(
      stderr,
      /2\/2: limelight: \S*d\.png: this PNG file is cut off/,
      'what a part says has its number',
    );
    t.match(stderr, /part 2 of 2 was not done to its end, for the reasons above\n$/);
    const images = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).image as string);
    t.deepEqual(
      images.sort(),
      ['a.png', 'b.png', 'c.png'].map((name) => join(folder, name)),
    );
    t.match(
      limelightFed(png(28, 0), 'predict', '-', '--jobs', '2').stderr,
      /through a pipe cannot be divided/,
    );
  }));

/** Some bytes in parts of a size. */
async function* inParts(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('a pipe holds PNGs one after another, each given as soon as it is whole', async (t) => {
  const pictures = [png(3, 1), png(40, 2), png(1, 3)];
  const joined = Buffer.concat(pictures);
  for (const size of [1, 7, joined.length]) {
    const found: Uint8Array[] = [];
    for await (const one of picturesIn(inParts(joined, size))) found.push(one);
    t.deepEqual(found.map(Buffer.from), pictures.map(Buffer.from), `parts of ${size}`);
  }
  let given = 0;
  async function* watched() {
    for (const one of pictures) {
      yield one;
      given++;
    }
  }
  for await (const _ of picturesIn(watched())) break;
  t.equal(given, 0, 'the first is not kept back until the second is there');
  const cut = joined.subarray(0, joined.length - 5);
  const lengths: number[] = [];
  for await (const one of picturesIn(inParts(cut, 11))) lengths.push(one.length);
  t.deepEqual(
    lengths,
    [pictures[0]!.length, pictures[1]!.length, pictures[2]!.length - 5],
    'the rest is given too',
  );
});

test('a pipe that holds no picture is refused at its beginning', async (t) => {
  let given = 0;
  async function* endless() {
    for (;;) {
      given++;
      yield new Uint8Array(1000);
    }
  }
  const error = await picturesIn(endless())
    .next()
    .catch((thrown: unknown) => thrown);
  t.ok(error instanceof ImageError, String(error));
  t.equal(given, 1);
});

/** An explanation as far as its files are concerned. */
const explained = (about: Partial<Explanation> = {}, signed = false): Explained =>
  ({
    image: 'photo.jpg',
    stem: 'photo',
    model: 'resnet18',
    device: 'gles: llvmpipe',
    explanation: {
      method: 'grad-cam',
      layer: 'layer4.1.relu',
      classIndex: 281,
      className: 'tabby, tabby cat',
      logit: 3,
      probability: 0.5,
      ...about,
    } as Explanation,
    pixels: { width: 2, height: 2, rgb: new Uint8Array(12) },
    map: { shape: [2, 2], data: new Float32Array(4) },
    weights: undefined,
    peak: [0, 0],
    target: 'logit',
    signed,
    files: {},
  }) satisfies Explained;

test("a file's name says what was asked for beyond the defaults", (t) =>
  inFolder(async (folder) => {
    const written = async (one: Explained, to: Partial<Destination>) => {
      await writeNumbers([one], { out: folder, model: 'digit-scenes', ...to });
      return one.files.map!.slice(folder.length + 1, -'.map.npy'.length);
    };
    const asked: readonly (readonly [Explained, Partial<Destination>, string])[] = [
      [explained(), {}, 'photo.grad-cam.281-tabby-tabby-cat'],
      [explained({ className: '281' }), {}, 'photo.grad-cam.281'],
      [explained({ className: '../../x\n' }), {}, 'photo.grad-cam.281-x'],
      [
        explained(),
        { model: 'nets/my net.v2.onnx', output: 'out' },
        'photo.my-net-v2.out.grad-cam.281-tabby-tabby-cat',
      ],
      [explained({ layer: 'a' }), { layer: 'a,b' }, 'photo.grad-cam.281-tabby-tabby-cat.a'],
      [
        explained({ layer: 'a + b' }, true),
        { layer: 'a,b', fuse: 'max', target: 'not:3' },
        'photo.grad-cam.281-tabby-tabby-cat.a-b.max.not-3.signed',
      ],
      [
        explained({ layer: `/${'x'.repeat(90)}/conv1`, className: '281' }),
        { layer: 'x' },
        `photo.grad-cam.281.${'x'.repeat(34)}-conv1`,
      ],
    ];
    for (const [one, to, name] of asked) t.equal(await written(one, to), name);
    t.equal(readdirSync(folder).length, asked.length, 'none took the place of another');
    const both = [explained({ layer: 'a' }), explained({ layer: 'b' })];
    await writeSheet(both, { out: folder, model: 'resnet18', layer: 'a,b' });
    t.deepEqual(
      both.map(({ files }) => files.sheet),
      Array(2).fill(join(folder, 'photo.resnet18.sheet.a-b.png')),
    );
  }));

test('a file is replaced only where that is asked for', (t) =>
  inFolder(async (folder) => {
    const path = join(folder, 'a.png');
    const [first, second] = [Buffer.from('first'), Buffer.from('other')];
    await writeWhole(path, first, { replace: false });
    await writeWhole(path, first, { replace: false });
    t.pass('the same again is no loss');
    const error = await writeWhole(path, second, { replace: false }).catch(String);
    t.match(String(error), /a\.png: a file is there already, with other content; --force replaces it, --out/);
    t.deepEqual(readFileSync(path), first);
    await writeWhole(path, second, { replace: true });
    t.deepEqual(readFileSync(path), second);
  }));

/** Runs a command that gives a line of JSON for each picture. */
function lines(t: Test, status: number, ...args: readonly string[]) {
  const ended = limelight(...args, '--json');
  t.equal(ended.status, status, args.join(' '));
  t.notOk(hasStack(ended.stderr), 'no stack');
  return {
    ...ended,
    said: ended.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

test('a damaged picture is named, and the others have their turn', (t) =>
  inFolder((folder) => {
    const damaged = join(folder, 'damaged.png');
    writeFileSync(damaged, readFileSync(scene).subarray(0, 200));
    const { said, stderr } = lines(t, 1, 'predict', damaged, scene, '--top', '2', '--quiet');
    t.equal(said.length, 1);
    t.deepEqual([said[0].image, said[0].model], [scene, 'digit-scenes']);
    // What the scene shows (models/images/scenes.json).
    t.deepEqual(
      said[0].predictions.map((one: { class: number }) => one.class),
      [2, 5],
    );
    t.match(stderr, /damaged\.png: this PNG file is cut off/);
    t.match(stderr, /1 of 2 pictures failed, for the reasons above/);
    t.notOk(stderr.includes('device:'), 'nothing else of ours is said');
  }));

test('explain and compare take several layers and the likeliest classes', (t) =>
  inFolder((folder) => {
    const asked = ['--method', 'grad-cam,layer-cam', '--layer', 'stage2,features', '--top', '2'];
    const compared = lines(t, 0, 'compare', scene, ...asked, '--raw', '--out', folder).said;
    t.deepEqual(
      compared.map(({ class: index, layer, method }) => [index, layer, method].join()).sort(),
      [2, 5]
        .flatMap((index) =>
          ['stage2', 'features'].flatMap((layer) =>
            ['grad-cam', 'layer-cam'].map((m) => [index, layer, m].join()),
          ),
        )
        .sort(),
    );
    t.equal(new Set(compared.map(({ files }) => files.sheet)).size, 1);
    t.equal(new Set(compared.map(({ files }) => files.map)).size, 8);
    const [fused] = lines(t, 0, 'explain', scene, ...asked, '--fuse', 'max', '--out', folder).said;
    t.equal(fused.layer, 'stage2 + features');
    t.deepEqual(fused.map.shape, [64, 64]);
    t.ok(fused.files.overlay.endsWith('scene-1.grad-cam.2.stage2-features.max.png'));
  }));

test('frames come through a pipe', (t) =>
  inFolder((folder) => {
    const frames = Buffer.concat([1, 2].map((n) => readFileSync(shipped(`images/scene-${n}.png`))));
    const { stdout } = limelightFed(
      frames,
      'explain',
      '-',
      '--method',
      'grad-cam',
      '--json',
      '--out',
      folder,
    );
    const said = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    t.deepEqual(
      said.map(({ image, class: index }) => [image, index]),
      [
        ['stdin-1', 2],
        ['stdin-2', 3],
      ],
    );
    t.deepEqual(readdirSync(folder).sort(), ['stdin-1.grad-cam.2.png', 'stdin-2.grad-cam.3.png']);
  }));
