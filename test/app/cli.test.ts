// The command line as a user meets it: a process with arguments, two streams and an exit code.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { methods } from '../../cam/index.ts';
import { readNpy } from '../../models/formats/npy.ts';
import { flags, hasStack, limelight, scene } from './limelight.ts';

const model = ['--model', 'digit-dense'];

test("--version is the package's, and explain --help names the methods", (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.equal(limelight('--version').stdout, `${version}\n`);
  const { stdout } = limelight('explain', '--help');
  for (const name of methods.keys()) t.ok(stdout.includes(name), name);
  t.end();
});

test('--help shows examples and succeeds', (t) => {
  const { status, stdout } = limelight('--help');
  t.equal(status, 0);
  t.match(stdout, /limelight explain photo\.png/);
  t.end();
});

const misuse: readonly (readonly [title: string, args: readonly string[], message: RegExp])[] = [
  ['an unknown option', ['explain', scene, '--nonsense'], /^limelight: unknown option '--nonsense'/],
  ['no picture', ['explain'], /^limelight: no picture is named/],
  ['an unknown method', ['explain', scene, ...model, '--method', 'grad-ham'], /no method "grad-ham"/],
  [
    'an unknown model',
    ['inspect', 'alexnett'],
    /^limelight: there is no model "alexnett"; did you mean alexnet/,
  ],
  ['an unknown class', ['explain', scene, ...model, '--class', '10'], /no class "10"/],
  ['an unknown layer', ['explain', scene, ...model, '--layer', 'fc9'], /no node "fc9"/],
  ['an unknown device', ['explain', scene, ...model, '--device', 'abacus'], /no adapter called "abacus"/],
  [
    'weights that are not shipped',
    ['explain', scene, '--model', 'squeezenet1_0'],
    /neither shipped nor fetched/,
  ],
  [
    'an unknown target',
    ['explain', scene, ...model, '--target', 'loss'],
    /there is no target "loss"; the targets are logit, log-prob/,
  ],
  [
    'a word that the model does not know',
    ['explain', scene, '--model', 'digit-vqa', '--text', 'is there a fife'],
    /does not know the word "fife"; did you mean five/,
  ],
  [
    'a text for a model that reads none',
    ['explain', scene, ...model, '--text', 'is there a five'],
    /digit-dense takes no text/,
  ],
  [
    'an output that the model does not have',
    ['explain', scene, '--model', 'digit-caption', '--target', 'value:test'],
    /digit-caption has no output "test"; .*text/,
  ],
  [
    'a caption to be evaluated as a class',
    ['evaluate', '--model', 'digit-caption', '--data', 'scenes'],
    /digit-caption reads a text; evaluate takes models whose classes are their own/,
  ],
];
for (const [title, args, message] of misuse) {
  test(`${title} is bad usage`, (t) => {
    const { status, stdout, stderr } = limelight(...args);
    t.equal(status, 2);
    t.match(stderr, message);
    t.notOk(hasStack(stderr), 'no stack');
    t.equal(stdout, '');
    t.end();
  });
}

test('explain writes a picture and arrays, and says so in JSON', (t) => {
  const out = mkdtempSync(join(tmpdir(), 'limelight-'));
  const { status, stdout } = limelight(
    ...[
      'explain',
      scene,
      ...model,
      '--method',
      'grad-cam',
      '--class',
      '2,5',
      '--raw',
      '--json',
      '--out',
      out,
    ],
  );
  t.equal(status, 0);
  const lines = stdout.trimEnd().split('\n');
  t.equal(lines.length, 2, 'a line for each class');
  for (const [i, line] of lines.entries()) {
    const said = JSON.parse(line);
    t.equal(said.image, scene);
    t.equal(said.model, 'digit-dense');
    t.equal(said.method, 'grad-cam');
    t.equal(said.layer, 'features');
    t.deepEqual([said.target, said.signed, said.notes], ['logit', false, []]);
    t.equal(said.class, [2, 5][i]);
    t.ok(Number.isFinite(said.logit) && said.probability >= 0 && said.probability <= 1);
    const map = readNpy(readFileSync(said.files.map), 'map');
    t.deepEqual(map.shape, said.map.shape);
    t.equal(Math.max(...map.data), said.map.max);
    t.equal(Math.min(...map.data), said.map.min);
    t.ok(said.map.peak.every((at: number) => Number.isInteger(at) && at >= 0 && at < 28));
    t.deepEqual(readNpy(readFileSync(said.files.weights), 'weights').shape, said.weights.shape);
    t.ok(decodePng(readFileSync(said.files.overlay)).width >= 320);
  }
  rmSync(out, { recursive: true });
  t.end();
});

const failures: readonly (readonly [title: string, args: readonly string[], message: RegExp])[] = [
  ['a missing picture', ['no-such.png', ...model], /no-such\.png: there is no such file/],
  [
    'an input too small for the network',
    [scene, '--size', '1'],
    /scene.*\.png: digit-scenes cannot .* --size/,
  ],
  [
    'an input too large to be made',
    [scene, '--size', '100000'],
    /more than 64 megapixels; ask for a smaller/,
  ],
  [
    'a map of one pixel',
    [scene, '--size', '3'],
    /scene.*"features" of digit-scenes gives 1 x 48 x 1 x 1 for/,
  ],
  [
    'CAM where it does not apply',
    [scene, ...model, '--method', 'cam'],
    /CAM needs logits that depend .* linearly/,
  ],
];
for (const [title, args, message] of failures) {
  test(`${title} is a failure of one line`, (t) => {
    const out = join(tmpdir(), `limelight-unwritten-${process.pid}`);
    const { status, stdout, stderr } = limelight('explain', ...args, '--json', '--out', out);
    t.equal(status, 1);
    t.match(stderr, message);
    t.notOk(hasStack(stderr), 'no stack');
    t.equal(stdout, '');
    t.notOk(existsSync(out), 'nothing is written');
    t.end();
  });
}

test('what can be told before any work is done is refused before the device is opened', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-'));
  const [file, empty, out] = ['file', 'empty.png', 'out'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(join(folder, 'nothing'));
  writeFileSync(file, 'kept');
  writeFileSync(empty, '');
  const refused: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['explain', scene, join(folder, 'none.png')], /none\.png: there is no such file/],
    [['explain', scene, join(folder, 'nothing')], /it is a folder without/],
    [['explain', empty], /empty\.png: the file is empty; expected a picture/],
    [['explain', file, empty], /file: the format of this file is not known/],
    [['compare', empty], /the file is empty/],
    [
      ['explain', scene, '--method', 'cam', '--layer', 'pool'],
      /CAM needs logits that depend .* linearly.* "pool", "stage2" \(relu\)/,
    ],
    ...['explain', 'compare', 'demo'].flatMap((command) => {
      const asked = command === 'demo' ? [command] : [command, scene];
      return [
        [[...asked, '--out', file], /cannot write into .*file: a part of its path is a file/],
        [[...asked, '--out', join(file, 'deeper')], /cannot write into .*is a file, not a folder/],
      ] as const;
    }),
  ];
  for (const [args, message] of refused) {
    const { status, stdout, stderr } = limelight(...args, ...(args.includes('--out') ? [] : ['--out', out]));
    t.equal(status, 1, args.join(' '));
    t.match(stderr, message);
    t.notOk(stderr.includes('device:') || hasStack(stderr) || stdout !== '', 'nothing was begun');
    t.notOk(existsSync(out), 'no folder is left behind');
  }
  t.equal(readFileSync(file, 'utf8'), 'kept');
  rmSync(folder, { recursive: true });
  t.end();
});

test('a layer that is no map of the picture is refused with the reason', (t) => {
  const asked = ['--model', 'digit-vit', '--layer', 'blocks.0.attn.probabilities', '--method', 'grad-cam'];
  const { status, stderr } = limelight('explain', scene, ...asked);
  t.equal(status, 1);
  t.match(stderr, /gives 1 x 3 x 65 x 65 .*no feature map: it has 2 axes of channels/);
  t.end();
});

test('what to know of a map is said by every command, with the class that it is of', (t) => {
  const out = mkdtempSync(join(tmpdir(), 'limelight-'));
  const note = /scene-1\.png: grad-cam of class (\d): the map is zero everywhere/;
  for (const command of ['explain', 'compare']) {
    const { stderr } = limelight(
      command,
      scene,
      '--class',
      '0,1,2,3,4,5,6,7,8,9',
      '--layer',
      'stem',
      '--out',
      out,
    );
    t.match(stderr, note, command);
  }
  rmSync(out, { recursive: true });
  t.end();
});

test('names given twice are explained once', (t) => {
  const out = mkdtempSync(join(tmpdir(), 'limelight-'));
  const asked = ['--method', 'grad-cam,grad-cam', '--class', '2, 2', '--json', '--out', out];
  const { stdout } = limelight('explain', scene, ...model, ...asked);
  t.equal(stdout.trimEnd().split('\n').length, 1);
  rmSync(out, { recursive: true });
  t.end();
});

test('a reader that goes away is no failure', (t) => {
  const quoted = [process.execPath, ...flags, 'models'].map((part) => `'${part}'`).join(' ');
  const script = `{ ${quoted}; echo "exit $?" >&2; } | true`;
  const { stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
  t.match(stderr, /^exit 0$/m);
  t.notOk(stderr.includes('EPIPE'));
  t.end();
});
