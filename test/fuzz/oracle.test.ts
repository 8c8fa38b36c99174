// Damaged ONNX files compute what ONNX Runtime computes of them. By hand, a thousand: LIMELIGHT_MUTANTS=1000.

import test from 'tape';
import { device } from '../device.ts';
import { compare, runtime } from './oracle.ts';

const ort = runtime();
const skip = ort ? false : 'needs npm ci --prefix bench/peers --ignore-scripts';
const wanted = Number(process.env.LIMELIGHT_MUTANTS ?? 40);

test('damaged ONNX files, against ONNX Runtime', { skip }, async (t) => {
  const { files, read, both, wrong } = await compare(await device(), ort!, wanted);
  t.deepEqual(wrong, [], `${both} of ${files} were computed by both, ${read} were read`);
  t.equal(both, wanted);
});
