// LayerCAM (Jiang, Zhang, Hou, Cheng, Wei: LayerCAM, IEEE Transactions on Image Processing 2021).
//
//   M = ReLU(sum_k ReLU(g_k) A_k), element by element                  g_k = dS/dA_k
//
// A channel counts only where more of it would raise S; that is what lets early layers be explained. The paper scales
// maps of early layers by tanh(2 M / max M) before it fuses layers; here maps are fused as those of every method are.
//
// Element-wise Grad-CAM (Gildenblat, pytorch-grad-cam 2021) cuts off the product instead: M = sum_k ReLU(g_k A_k). Both
// are the same where A >= 0.

import { mul, relu } from '../../engine/index.ts';
import { channelSum } from '../map.ts';
import type { Method } from '../method.ts';
import { gradientTerm } from './grad-cam.ts';

export const layerCam: Method = {
  name: 'layer-cam',
  title: 'LayerCAM',
  paper: 'Jiang 2021',
  relu: true,
  batches: true,
  terms: {
    g_k: gradientTerm,
    M: {
      tex: 'M = \\mathrm{ReLU} \\sum_k \\mathrm{ReLU}(g_k) A_k',
      equation: 'Jiang 2021, the definition',
      is: 'sum over the channels of positive gradient times value [h, w], before ReLU',
    },
  },
  explain({ featureMap, gradient }, { target }) {
    const g_k = gradient(target);
    return { g_k, M: channelSum(mul(relu(g_k), featureMap)) };
  },
};

export const elementWiseGradCam: Method = {
  name: 'element-wise-grad-cam',
  title: 'Element-wise Grad-CAM',
  paper: 'Gildenblat 2021',
  relu: true,
  batches: true,
  terms: {
    g_k: gradientTerm,
    M: {
      tex: 'M = \\sum_k \\mathrm{ReLU}(g_k A_k)',
      equation: 'Gildenblat 2021, pytorch-grad-cam',
      is: 'sum over the channels of positive products of gradient and value [h, w]',
    },
  },
  explain({ featureMap, gradient }, { target }) {
    const g_k = gradient(target);
    return { g_k, M: channelSum(relu(mul(g_k, featureMap))) };
  },
};
