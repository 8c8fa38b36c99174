// One canonical graph for every importer: what means the same is written the same before anything looks at it. To add a
// rewrite, write a function of a node that says what stands in its place, and a row here.

import { composedFunction, composedNorm } from './canonical/composed.ts';
import { bias, featureOrder, globalPooling, normScale, pixelConvolution } from './canonical/heads.ts';
import { type Draft, type Rewrite, rewritten } from './canonical/rewrite.ts';
import { identity, transposition, views } from './canonical/views.ts';

/** Every rewrite, and what it is for. */
const REWRITES: readonly (readonly [rewrite: Rewrite, reason: string])[] = [
  [identity, 'a name for a value that has one already'],
  [transposition, 'channels-last networks turn their maps about'],
  [views, 'exporters flatten in two steps what is flat in one'],
  [globalPooling, 'CAM heads are global average pooling and a linear layer, in many spellings'],
  [pixelConvolution, 'a classifier behind global pooling that keeps its axes'],
  [bias, 'TensorFlow adds biases by themselves; one layer is one kernel'],
  [featureOrder, 'channels-last networks flatten their maps channels last'],
  [composedFunction, 'one kernel in place of five, with one derivative'],
  [composedNorm, 'the same'],
  [normScale, 'the weights of a normalisation that was taken apart'],
];

export const canonical = (draft: Draft) =>
  rewritten(
    draft,
    REWRITES.map(([rewrite]) => rewrite),
  );
