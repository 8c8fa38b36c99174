// What the commands that explain share, in this process: what is asked of the device, names of files, signs of life.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { pictureAt, stems } from '../../app/cli/pictures.ts';
import { explainImage } from '../../app/cli/pipeline.ts';
import { heartbeat } from '../../app/cli/progress.ts';
import { readTarget } from '../../app/cli/target.ts';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, explain } from '../../cam/index.ts';
import { closeDevice, openDevice } from '../../engine/index.ts';
import { catalogEntry } from '../../models/catalog.ts';
import { readSafetensors } from '../../models/formats/safetensors.ts';
import { loadNetwork } from '../../models/network.ts';
import { preprocess } from '../../models/preprocess.ts';
import { device } from '../device.ts';
import { scene } from './limelight.ts';

/** Workgroups that the device is given while `use` runs. */
async function workgroups(gpu: GPUDevice, use: () => Promise<void>): Promise<number> {
  const create = gpu.createCommandEncoder;
  let count = 0;
  gpu.createCommandEncoder = (descriptor) => {
    const encoder = create.call(gpu, descriptor);
    const begin = encoder.beginComputePass;
    encoder.beginComputePass = (of) => {
      const pass = begin.call(encoder, of);
      const dispatch = pass.dispatchWorkgroups;
      pass.dispatchWorkgroups = (x, y = 1, z = 1) => {
        count += x * y * z;
        dispatch.call(pass, x, y, z);
      };
      return pass;
    };
    return encoder;
  };
  try {
    await use();
  } finally {
    gpu.createCommandEncoder = create;
  }
  return count;
}

test('the command line asks no more of the device than the library, for whose default target methods have short cuts', async (t) => {
  const on = await device();
  const entry = catalogEntry('digit-dense');
  const network = loadNetwork(on, entry, readSafetensors(readFileSync(entry.weights!), entry.name).tensors);
  const request = { methods: ['ablation-cam'], classes: [3] };
  const byLibrary = () =>
    workgroups(on.commands!.gpu, async () => {
      const input = preprocess(network, decodePng(readFileSync(scene)));
      for (const one of await explain(network, input, request)) disposeExplanation(one);
      input.dispose();
    });
  const byCommand = (target?: string) =>
    workgroups(on.commands!.gpu, async () => {
      await explainImage(network, pictureAt(scene), {
        ...request,
        ...(target && { target: readTarget(target, network) }),
      });
    });
  await byLibrary(); // What is made of the weights is made once.
  const expected = await byLibrary();
  t.ok(expected > 0);
  t.equal(await byCommand(), expected);
  t.equal(await byCommand('logit'), expected);
  t.notEqual(await byCommand('log-probability'), expected, 'a target that needs every class');
});

test('an input too large for the device is refused with the picture and what to do', async (t) => {
  const on = await openDevice({ memoryBudget: 2 ** 22 });
  const entry = catalogEntry('digit-scenes');
  const weights = readSafetensors(readFileSync(entry.weights!), entry.name).tensors;
  const network = loadNetwork(on, entry, weights);
  const preprocessing = { ...network.preprocessing, size: [512, 512] as const };
  try {
    await explainImage({ ...network, preprocessing }, pictureAt(scene), { methods: ['grad-cam'] });
    t.fail('must be refused');
  } catch (error) {
    t.match(String(error), /scene-1\.png: .*; --size makes the input smaller/);
  }
  closeDevice(on);
});

test('pictures of one name, or of a name that a number gives, have files of their own', (t) => {
  t.deepEqual(stems(['a/x.png', 'b/x.jpg', 'x~2.png', 'y.png']), ['x', 'x~2', 'x~2~2', 'y']);
  t.end();
});

test('where no bar is drawn long work says now and then how far it is', (t) => {
  const said: string[] = [];
  let now = 0;
  const { isTTY } = process.stderr;
  process.stderr.isTTY = false;
  const tell = heartbeat(
    (line) => said.push(line),
    () => now,
  );
  for (now = 0; now < 31_000; now += 1_000) tell(`${now / 1_000} s`);
  process.stderr.isTTY = isTTY;
  t.deepEqual(said, ['10 s', '20 s', '30 s']);
  t.end();
});
