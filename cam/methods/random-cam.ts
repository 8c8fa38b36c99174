// RandomCAM (Gildenblat, pytorch-grad-cam 2021): a control, with which a method that explains something must compare well.
//
//   w_k uniform in [-1, 1)
//   M = ReLU(sum_k w_k A_k)
//
// The weights depend on the class and on nothing else, so that a map can be had again.

import { random } from '../../models/train/data/random.ts';
import { weightedSum } from '../map.ts';
import type { Method } from '../method.ts';
import { tensorOf } from '../numbers.ts';
import { weightedMap } from './grad-cam.ts';

export const randomCam: Method = {
  name: 'random-cam',
  title: 'RandomCAM',
  paper: 'Gildenblat 2021',
  relu: true,
  terms: {
    w_k: {
      tex: 'w_k \\sim \\mathcal{U}(-1, 1)',
      equation: 'Gildenblat 2021, pytorch-grad-cam',
      is: 'random numbers, seeded by the class [K]',
      note: () => 'RandomCAM is a control: its weights are random and explain nothing',
    },
    M: weightedMap('Gildenblat 2021, pytorch-grad-cam'),
  },
  explain({ featureMap }, { classIndex }) {
    const next = random(classIndex);
    const [, channels] = featureMap.shape as [number, number];
    const w_k = tensorOf(featureMap.device, [channels], () => 2 * next() - 1);
    return { w_k, M: weightedSum(w_k, featureMap) };
  },
};
