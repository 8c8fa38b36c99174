// The command line with networks from files, with preprocessing of the user's, and with inspect.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command, CommanderError } from 'commander';
import test from 'tape';
import { dotOf } from '../../app/cli/dot.ts';
import { UsageError } from '../../app/cli/errors.ts';
import { counted, shortened } from '../../app/cli/inspect.ts';
import { chooseModel, openModel } from '../../app/cli/load.ts';
import { type ModelArguments, modelOptions } from '../../app/cli/options.ts';
import { pictureAt } from '../../app/cli/pictures.ts';
import { explainImage, type Request } from '../../app/cli/pipeline.ts';
import { readTarget } from '../../app/cli/target.ts';
import { encodePng } from '../../app/image/decode.ts';
import { largest } from '../../engine/extremes.ts';
import { LimelightError } from '../../engine/index.ts';
import { catalogEntry } from '../../models/catalog.ts';
import { INPUT } from '../../models/graph.ts';
import * as layers from '../../models/layers.ts';
import { disposeNetwork } from '../../models/network.ts';
import { hasAssets } from '../assets.ts';
import { device } from '../device.ts';
import { modelBytes } from '../models/onnx-file.ts';
import { relativeError } from '../reference/index.ts';
import { jpeg } from './image-fixtures.ts';
import { inFolder, limelight, scene, shipped } from './limelight.ts';

const dense = shipped('shipped/digit-dense.safetensors');

/** What the options of explain and inspect are understood as. */
function parsed(args: readonly string[]): ModelArguments {
  const command = modelOptions(new Command().exitOverride().option('--model <model>'));
  command.configureOutput({ writeErr: () => undefined });
  return command.parse([...args], { from: 'user' }).opts<ModelArguments>();
}

const choose = async (...args: readonly string[]) => chooseModel(parsed(args), false);

/** Explains a picture by Grad-CAM in this process; the first explanation. */
async function explained(image: string, request: Partial<Request>, ...args: readonly string[]) {
  const choice = await choose(...args);
  const network = await openModel(await device(), choice);
  const [one] = await explainImage(network, pictureAt(image), { methods: ['grad-cam'], ...request });
  disposeNetwork(network);
  return { ...one!.explanation, ...one! };
}

const numbers = ['--model', 'digit-dense'];
const misuse: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [[...numbers, '--preset', 'x'], /Allowed choices are imagenet, torch, tf/],
  [[...numbers, '--size', '12by4'], /"12by4" is not a number of pixels/],
  [[...numbers, '--size', '0'], /"0" is not a number of pixels/],
  [[...numbers, '--size', '1x2x3'], /height x width/],
  [[...numbers, '--crop', '224/256'], /such as 256\/224/],
  [[...numbers, '--crop', '224'], /such as 256\/224/],
  [[...numbers, '--mean', '0.5,grey'], /"grey" is not a number/],
  [[...numbers, '--std', '1,,1'], /"" is not a number/],
  [[...numbers, '--mean', '1,2,3'], /mean has 3 numbers; expected 1/],
  [[...numbers, '--scale', '0'], /divides by zero/],
  [[...numbers, '--size', '28', '--crop', '32/28'], /give one of them/],
  [[...numbers, '--channels', 'bgr'], /takes a grey picture/],
  [['--model', 'resnet20', '--channels', 'grey'], /takes three channels/],
  [['--model', 'resnet18', '--resize', 'fill'], /Allowed choices are cover, stretch, pad/],
  [['--model', 'resnet18', '--resize', 'pad', '--crop', '256/224'], /--resize and --crop both/],
  [['--model', 'digit-scenes', '--resize', 'pad'], /--resize pad needs a size to scale to: give --size/],
  [['--model', 'resnet18', '--architecture', 'vgg16'], /for a file of weights/],
  [['--model', dense, '--architecture', 'vgg61'], /did you mean vgg11, vgg16/],
  [['--model', 'resnet18='], /the name of a file of weights is missing/],
  [['--model', 'resnet81=weights.safetensors'], /no model "resnet81"; did you mean resnet18/],
];
test('what is asked wrongly is bad usage', async (t) => {
  for (const [args, message] of misuse) {
    const error = await failure(() => choose(...args));
    t.ok(error instanceof UsageError || error instanceof CommanderError, args.join(' '));
    t.match(error.message, message);
  }
});

/** The error that something ends in. */
async function failure(run: () => Promise<unknown>): Promise<Error> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

test('files that are no networks fail', (t) =>
  inFolder(async (folder) => {
    const file = (name: string, content: string) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const cases: readonly (readonly [string, RegExp])[] = [
      [join(folder, 'missing.onnx'), /cannot read \/.*missing\.onnx: there is no such file$/],
      [join(folder, 'missing.safetensors'), /cannot read \/.*missing\.safetensors: there is no such file$/],
      [dirname(dense), /is a folder without a model\.json; give a model's file/],
      [file('empty.onnx', ''), /empty\.onnx: the file is empty/],
      [
        `resnet18=${dense}`,
        /do not fit the network resnet18; choose .* missing bn1\.weight .* and \d+ more$/s,
      ],
      [file('weights.pth', 'PK'), /weights\.pth: the zip archive is damaged/],
      [
        file('weights.bin', '\0\0\0\0'),
        /weights\.bin: it is neither a zip archive nor a file of torch\.save/,
      ],
      [file('weights.pkl', ''), /weights\.pkl: this format is not read: save the weights by torch\.save/],
      [
        file('notes.txt', 'hello'),
        /this is no model that is read; the formats are Keras \.h5.*PyTorch, safetensors/,
      ],
      [file('broken.onnx', 'hello'), /broken\.onnx/],
      [file('broken.safetensors', 'hello'), /broken\.safetensors/],
      [file('model.keras', 'PK\x03\x04'), /model\.keras: the zip archive is damaged/],
      [file('model.json', '{}'), /model\.json is no TensorFlow\.js model/],
      [folder, /model\.json is no TensorFlow\.js model/],
    ];
    for (const [path, message] of cases) {
      const error = await failure(() => choose('--model', path));
      t.ok(error instanceof LimelightError && !(error instanceof UsageError), basename(path));
      t.match(error.message, message);
    }
  }));

test('weights that fit no architecture, or another, are refused', (t) =>
  inFolder(async (folder) => {
    // The file says which network it belongs to; without that its keys tell.
    const header = (bytes: Buffer) => {
      const length = Number(bytes.readBigUInt64LE());
      return { length, json: JSON.parse(bytes.subarray(8, 8 + length).toString()) };
    };
    const bytes = readFileSync(dense);
    const { length, json } = header(bytes);
    const rewrite = (name: string, change: (json: Record<string, unknown>) => void) => {
      const copy = structuredClone(json);
      change(copy);
      const text = Buffer.from(JSON.stringify(copy).padEnd(length));
      writeFileSync(
        join(folder, name),
        Buffer.concat([bytes.subarray(0, 8), text, bytes.subarray(8 + length)]),
      );
      return join(folder, name);
    };
    const anonymous = rewrite('anonymous.safetensors', (copy) => {
      delete copy.__metadata__;
    });
    t.equal((await choose('--model', anonymous)).description.name, 'digit-dense', 'known by its keys');
    const strange = rewrite('strange.safetensors', (copy) => {
      delete copy.__metadata__;
      copy['fc3.bias'] = copy['fc2.bias'];
      delete copy['fc2.bias'];
    });
    const unknown = await failure(() => choose('--model', strange));
    t.ok(unknown instanceof UsageError);
    t.match(unknown.message, /those of no known architecture; naming one \(--architecture NAME/);
    const args = ['--model', strange, '--architecture', 'digit-dense'];
    const wrong = await failure(() => explained(scene, {}, ...args));
    t.match(wrong.message, /missing fc2\.bias \[10\]\s+unexpected fc3\.bias/);
  }));

test('shipped weights are found by their file too, with options of preprocessing', async (t) => {
  const byName = await explained(scene, {}, ...numbers);
  const byFile = await explained(scene, {}, '--model', dense);
  t.equal(byFile.logit, byName.logit);
  t.equal(byFile.model, 'digit-dense');
  const same = ['--scale', '127.5', '--mean', '0.2614', '--std', '0.6162', '--size', '28x28'];
  const { logit } = await explained(scene, {}, ...numbers, ...same);
  t.ok(Math.abs(logit - byName.logit) < 1e-4, 'the same numbers said otherwise');
  const other = await explained(scene, {}, ...numbers, '--interpolation', 'nearest');
  t.notEqual(other.logit, byName.logit);
  const { preprocessing } = (await choose('--model', 'resnet18', '--crop', '300/288', '--channels', 'bgr'))
    .description;
  t.deepEqual(
    [preprocessing.size, preprocessing.resize, preprocessing.order, preprocessing.channels],
    [[288, 288], 300, 'bgr', 3],
  );
  const sized = (await choose('--model', 'resnet18', '--size', '320x256')).description.preprocessing;
  t.deepEqual([sized.size, sized.resize], [[320, 256], undefined], 'a size alone leaves no shorter side');
});

test('labels: JSON or lines, as many as there are classes', (t) =>
  inFolder(async (folder) => {
    const labelled = (name: string, content: string) => {
      writeFileSync(join(folder, name), content);
      return choose(...numbers, '--labels', join(folder, name));
    };
    const names = ['nought', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
    for (const [name, content] of [
      ['labels.json', JSON.stringify(names)],
      ['labels.txt', `\ufeff${names.join('\r\n')}\r\n`],
    ] as const) {
      t.deepEqual((await labelled(name, content)).description.classes, names, name);
    }
    for (const [name, content, message] of [
      ['few.txt', 'a\nb\n', /few\.txt: expected 10 class names; it has 2/],
      ['object.json', '{"0": 7}', /object\.json: expected 10 class names, as one a line/],
    ] as const) {
      t.match((await failure(() => labelled(name, content))).message, message);
    }
  }));

test('labels beside a model name its classes, and a class may have commas in its name', (t) =>
  inFolder(async (folder) => {
    const model = join(folder, 'weights.safetensors');
    writeFileSync(model, readFileSync(dense));
    const names = Array.from({ length: 10 }, (_, i) => `digit ${i}, number ${i}`);
    writeFileSync(join(folder, 'config.json'), '{"id2label": {"0": "LABEL_0"}}');
    writeFileSync(join(folder, 'labels.txt'), 'too\nfew');
    const args = ['explain', scene, '--model', model, '--method', 'grad-cam', '--json', '--out', folder];
    const few = limelight(...args);
    t.match(few.stderr, /numbers instead of names: .*labels\.txt: expected 10 class names; it has 2/);
    t.match(few.stdout, /"className":"\d"/);
    writeFileSync(join(folder, 'metadata.json'), JSON.stringify({ labels: names }));
    rmSync(join(folder, 'labels.txt'));
    const { stderr, stdout } = limelight(...args, '--class', 'digit 3, number 3', '--class', 'digit 4,5,4');
    t.match(stderr, /class names from .*metadata\.json/);
    const found = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).className);
    t.deepEqual(found, [names[3], names[4], names[5]]);
  }));

test('--resize says how pictures come to the size', async (t) => {
  const resizeOf = async (...args: readonly string[]) =>
    (await choose('--model', 'resnet18', ...args)).description.preprocessing.resize;
  t.deepEqual(await resizeOf('--resize', 'stretch'), [224, 224]);
  t.deepEqual(await resizeOf('--resize', 'stretch', '--size', '96x64'), [96, 64]);
  t.equal(await resizeOf('--resize', 'pad'), 'pad');
  t.equal(await resizeOf('--resize', 'cover'), undefined);
});

test('preprocessing beside a model is followed, where it fits', (t) =>
  inFolder(async (folder) => {
    const model = join(folder, 'weights.safetensors');
    writeFileSync(model, readFileSync(dense));
    const config = join(folder, 'preprocessor_config.json');
    const inspected = (image_mean: readonly number[], ...args: readonly string[]) => {
      const size = { height: 28, width: 28 };
      writeFileSync(
        config,
        JSON.stringify({ image_mean, image_std: [0.5], do_resize: true, size, resample: 3 }),
      );
      return limelight('inspect', model, ...args);
    };
    const said = /grey, stretched to it, bicubic, \(value \/ 255 - 0\.25\) \/ 0\.5/;
    const { stdout, stderr } = inspected([0.25]);
    t.match(stdout, said);
    t.match(stderr, said, 'a note says it');
    t.match(
      inspected([0.25], '--mean', '0').stdout,
      /grey, stretched to it, bicubic, \(value \/ 255 - 0\) \/ 0\.5/,
    );
    t.match(
      inspected([0.25], '--preset', 'raw').stdout,
      /\(value \/ 1 - 0\) \/ 1/,
      'a preset stands above it',
    );
    const wrong = inspected([0.25, 0.25, 0.25]);
    t.match(wrong.stderr, /preprocessor_config\.json is not followed: .*mean has 3 numbers; expected 1/);
    t.match(wrong.stdout, /\(value \/ 255 - 0\.1307\) \/ 0\.3081/);
  }));

test('outputs by name, probabilities by choice, layers that do nothing by the layer before them', (t) =>
  inFolder((folder) => {
    const model = join(folder, 'two.onnx');
    const weights = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i));
    const gemm = (to: string) => ({
      op: 'Gemm',
      inputs: ['f', to[0]!],
      outputs: [to],
      attributes: { transB: 1 },
    });
    writeFileSync(
      model,
      modelBytes({
        inputs: [{ name: 'x', dims: [1, 3, 8, 8] }],
        initializers: [
          { name: 'w', dims: [5, 3, 1, 1], data: weights(15) },
          { name: 'k', dims: [4, 5], data: weights(20) },
          { name: 'a', dims: [1, 5], data: weights(5) },
        ],
        nodes: [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
          { op: 'Relu', inputs: ['c'], outputs: ['r'] },
          { op: 'Identity', inputs: ['r'], outputs: ['same'] },
          { op: 'GlobalAveragePool', inputs: ['same'], outputs: ['g'] },
          { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
          gemm('kinds'),
          gemm('age'),
        ],
        outputs: ['kinds', 'age'],
      }),
    );
    const image = join(folder, 'grey.png');
    writeFileSync(image, encodePng({ width: 8, height: 8, rgb: new Uint8Array(3 * 64).fill(119) }));
    const explain = (...more: string[]) =>
      limelight(
        'explain',
        image,
        '--model',
        model,
        '--method',
        'grad-cam',
        '--preset',
        'unit',
        '--out',
        folder,
        '--force',
        ...more,
      );
    const all = explain();
    t.notEqual(all.status, 0);
    t.match(
      all.stderr,
      /two\.onnx: it has several outputs.*--output NAME.*\n {2}kinds \[1, 4\]\n {2}age \[1, 1\]/,
    );
    const unknown = explain('--output', 'kind');
    t.match(unknown.stderr, /no output "kind"; its outputs are:\n {2}kinds/);
    const json = (...more: string[]) => JSON.parse(explain('--json', ...more).stdout);
    const kinds = json('--output', 'kinds', '--layer', 'same');
    t.equal(kinds.layer, 'r', 'an identity is what it repeats');
    t.ok(kinds.probability > 0.25 && kinds.probability < 1, 'a softmax');
    const age = json('--output', 'age');
    t.equal(age.probability, null, 'a value');
    t.doesNotMatch(explain('--output', 'age').stdout, /%/, 'nor is it shown as one');
    const asked = json('--output', 'age', '--probabilities', 'sigmoid');
    t.ok(
      Math.abs(asked.probability - 1 / (1 + Math.exp(-asked.logit))) < 1e-6,
      'unless a sigmoid is asked for',
    );
    const named = limelight('explain', image, '--model', 'digit-scenes', '--output', 'x');
    t.match(named.stderr, /--output is for files that hold their graph/);
  }));

test('of a network that looks like one of ImageNet, what it would say under each preset', (t) =>
  inFolder((folder) => {
    // Class 0 is as likely as the first channel is bright.
    const weights = new Array<number>(3000).fill(0).map((_, i) => (i === 0 ? 100 : 0));
    const model = join(folder, 'any.onnx');
    writeFileSync(
      model,
      modelBytes({
        inputs: [{ name: 'x', dims: [1, 3, 8, 8] }],
        initializers: [{ name: 'w', dims: [1000, 3, 1, 1], data: weights }],
        nodes: [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
          { op: 'GlobalAveragePool', inputs: ['c'], outputs: ['g'] },
          { op: 'Flatten', inputs: ['g'], outputs: ['y'] },
        ],
        outputs: ['y'],
      }),
    );
    const image = join(folder, 'grey.png');
    writeFileSync(image, encodePng({ width: 9, height: 8, rgb: new Uint8Array(3 * 9 * 8).fill(119) }));
    const { stderr } = limelight('explain', image, '--model', model, '--method', 'grad-cam', '--out', folder);
    t.match(stderr, /as many classes as ImageNet; most likely is --preset imagenet --labels imagenet/);
    // (119 / 255 - 0.485) / 0.229 and 119 / 127.5 - 1 are below zero.
    t.match(
      stderr,
      /by --preset, imagenet: 1 \(0\.1 %\); tf: 1 .*; caffe: 0 .*; unit: 0 \(100\.0 %\); raw: 0/,
    );
    const said = limelight(
      'explain',
      image,
      '--model',
      model,
      '--preset',
      'imagenet',
      '--method',
      'grad-cam',
      '--out',
      folder,
    );
    t.doesNotMatch(said.stderr, /by --preset/);
  }));

test('a JPEG and a PNG of the same pixels are explained alike', (t) =>
  inFolder((folder) => {
    // A coarse "1" of 8 x 8 blocks.
    const at = (x: number, y: number) => (y > 0 && y < 7 && (x === 4 || (x === 3 && y === 2)) ? 250 : 10);
    const blocks = Array.from({ length: 64 }, (_, i) => [at(i % 8, Math.floor(i / 8))]);
    const rgb = new Uint8Array(3 * 64 * 64);
    for (let i = 0; i < 64 * 64; i++) {
      const value = at(Math.floor((i % 64) / 8), Math.floor(i / 64 / 8));
      rgb.fill(value, 3 * i, 3 * i + 3);
    }
    const [jpg, png] = [join(folder, 'one.jpg'), join(folder, 'one.png')];
    writeFileSync(jpg, jpeg({ width: 64, height: 64, blocks }));
    writeFileSync(png, encodePng({ width: 64, height: 64, rgb }));
    const args = [jpg, png, '--model', 'digit-scenes', '--class', '1', '--method', 'grad-cam', '--json'];
    const { status, stdout, stderr } = limelight('explain', ...args, '--out', folder);
    t.equal(status, 0, stderr);
    const [first, second] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.equal(first.image, jpg);
    t.equal(second.image, png);
    t.equal(first.logit, second.logit);
    t.deepEqual(first.map, second.map);
    t.ok(existsSync(first.files.overlay) && existsSync(second.files.overlay));
    t.notEqual(first.files.overlay, second.files.overlay, 'two files of one name');
  }));

test('a log-probability is explained by its own gradient', async (t) => {
  // d log sigmoid(z) = (1 - sigmoid(z)) dz: the map shrinks by what is not certain.
  const args = ['--model', 'digit-scenes'];
  const target = readTarget('log-probability', catalogEntry('digit-scenes'));
  const logit = await explained(scene, { classes: [3] }, ...args);
  const log = await explained(scene, { classes: [3], target }, ...args);
  t.equal(log.logit, logit.logit);
  const expected = largest(logit.map.data) * (1 - logit.probability!);
  t.ok(Math.abs(largest(log.map.data) - expected) <= 1e-4 * expected, `${expected}`);
});

test('inspect counts, marks the target layer and says which methods apply', (t) => {
  const { status, stdout } = limelight('inspect', 'digit-dense');
  t.equal(status, 0);
  t.match(stdout, /106 k parameters, 1\.12 M multiply-adds, 10 nodes/);
  t.match(stdout, /│ conv2 +│ conv +│ +│ 1 x 32 x 14 x 14 │ 4\.64 k +│ 903 k +│ yes +│/);
  t.match(stdout, /│ features │ relu .*│ default +│/);
  t.match(
    stdout,
    /^methods: grad-cam, grad-cam\+\+, ablation-cam, score-cam\nnot cam: .*"pool2" \(maxPool\) is not linear/m,
  );
  const large = limelight('inspect', 'mobilenet_v2', '--size', '96');
  t.match(large.stdout, /input 1 x 3 x 96 x 96; rgb, scaled to cover it, cropped, bilinear/);
  t.match(large.stdout, /\d+ nodes without parameters are left out; --all shows them\nmethods: cam, /);
  const tokens = limelight('inspect', 'digit-vit').stdout;
  t.match(tokens, /│ blocks\.1 +│ add .*│ yes +│/, 'tokens on a grid');
  t.match(tokens, /│ token +│ takeToken .*│ {15}│/, 'one token is none');
  t.end();
});

test('inspect --dot writes Graphviz text', (t) =>
  inFolder((folder) => {
    const { status, stdout } = limelight('inspect', 'digit-scenes', '--dot');
    t.equal(status, 0);
    t.match(stdout, /^digraph "digit-scenes" \{\n/);
    t.match(stdout, /\n {2}"input" -> "stem\.conv";\n/);
    t.match(stdout, /"features" \[label="features\\nrelu\\n1 x 48 x 16 x 16", style=filled/);
    t.equal(stdout.split(' -> ').length - 1, 15, 'an edge for each input of each node');
    const file = join(folder, 'graph.dot');
    const written = limelight('inspect', 'digit-scenes', '--dot', file);
    t.equal(written.stdout, '');
    t.equal(readFileSync(file, 'utf8'), stdout);
    const unwritable = limelight('inspect', 'digit-scenes', '--dot', join(file, 'below.dot'));
    t.equal(unwritable.status, 1);
    t.match(unwritable.stderr, /cannot write .*below\.dot/);
  }));

test('names of any kind do no harm', (t) => {
  const name = 'a "quoted" \\ name\n\u001b[31m';
  const graph = { nodes: [layers.flatten(name, INPUT)], output: name };
  const shapes = new Map([[name, [1, 12]]]);
  const text = dotOf(graph, shapes, { name, inputShape: [1, 3, 2, 2], targetLayer: '' });
  const quoted = '"a \\"quoted\\" \\\\ name\ufffd\ufffd[31m"';
  t.ok(text.includes(`digraph ${quoted} {`), text);
  t.ok(text.includes(`"input" -> ${quoted};`));
  t.equal(shortened(name), 'a "quoted" \\ name\ufffd\ufffd[31m');
  t.equal(shortened('x'.repeat(48)).length, 48);
  t.equal(shortened(`${'a'.repeat(40)}${'b'.repeat(40)}`), `${'a'.repeat(23)}…${'b'.repeat(24)}`);
  t.end();
});

test('counts are readable', (t) => {
  const shown = [0, 7, 999, 1000, 1234, 999_499, 25_557_032, 4.089e9, 2e13].map(counted);
  t.deepEqual(shown, ['0', '7', '999', '1.00 k', '1.23 k', '999 k', '25.6 M', '4.09 G', '2.00e+4 G']);
  t.end();
});

/** The same network from several files gives the same answer. */
const families: readonly (readonly [title: string, options: readonly string[], models: readonly string[]])[] =
  [
    [
      'ResNet-20',
      ['--preset', 'torch', '--size', '32'],
      ['resnet20_cifar10.safetensors', 'resnet20_cifar10.onnx', 'resnet20_cifar10.raw-export.onnx'],
    ],
    [
      'ResNet-8',
      ['--preset', 'raw'],
      ['resnet8_cifar10.keras.h5', 'resnet8_cifar10.tfjs', 'resnet8_cifar10.tfjs/model.json'],
    ],
    [
      'MobileNetV1',
      ['--preset', 'tf'],
      ['mobilenet_v1_0.25_224_keras.tfjs', 'mobilenet_v1_0.25_224_keras.onnx'],
    ],
  ];
for (const [title, options, models] of families) {
  test(`${title} from every format`, async (t) => {
    if (!hasAssets(t)) return;
    const assets = process.env.LIMELIGHT_ASSETS!;
    const image = join(assets, 'images/chelsea.png');
    const answers: Awaited<ReturnType<typeof explained>>[] = [];
    for (const file of models) {
      answers.push(await explained(image, {}, '--model', join(assets, 'models', file), ...options));
    }
    const first = answers[0]!;
    for (const [i, answer] of answers.entries()) {
      t.equal(answer.classIndex, first.classIndex, models[i]);
      t.ok(Math.abs(answer.logit - first.logit) < 1e-3, `${answer.logit}`);
      t.ok(relativeError(answer.map.data, first.map.data) < 1e-3, 'the map');
      t.deepEqual(answer.peak, first.peak);
    }
  });
}
