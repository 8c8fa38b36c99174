// The table of kernels: name -> WGSL file, and those with functions it shares with others; threads.wgsl is shared by all.
// Names are those of the launch functions beside each file.

const threads = new URL('./threads.wgsl', import.meta.url);
const nan = new URL('./nan.wgsl', import.meta.url);
const product = new URL('./matmul/product.wgsl', import.meta.url);
const epilogue = [new URL('./epilogue.wgsl', import.meta.url), nan];
const strided = new URL('./layout/strided.wgsl', import.meta.url);
const group = [new URL('./reduce/group.wgsl', import.meta.url), nan];
const binaryFunctions = new URL('./elementwise/binary-functions.wgsl', import.meta.url);

const table: Readonly<Record<string, URL | readonly URL[]>> = {
  unary: [new URL('./elementwise/unary.wgsl', import.meta.url), nan],
  binary: [new URL('./elementwise/binary.wgsl', import.meta.url), binaryFunctions, nan],
  broadcast: [new URL('./elementwise/broadcast.wgsl', import.meta.url), binaryFunctions, nan],
  broadcastVectors: [new URL('./elementwise/broadcast-vectors.wgsl', import.meta.url), binaryFunctions, nan],
  strided: [strided, new URL('./layout/elements.wgsl', import.meta.url)],
  stridedVectors: [strided, new URL('./layout/vectors.wgsl', import.meta.url)],
  place: new URL('./layout/place.wgsl', import.meta.url),
  placeVectors: new URL('./layout/place-vectors.wgsl', import.meta.url),
  take: new URL('./layout/take.wgsl', import.meta.url),
  put: new URL('./layout/put.wgsl', import.meta.url),
  selectAlong: new URL('./layout/select-along.wgsl', import.meta.url),
  spreadAlong: new URL('./layout/spread-along.wgsl', import.meta.url),
  reduce: [new URL('./reduce/reduce.wgsl', import.meta.url), nan],
  reduceGroup: [new URL('./reduce/reduce-group.wgsl', import.meta.url), ...group],
  overNorm: [new URL('./reduce/over-norm.wgsl', import.meta.url), nan],
  argmax: [new URL('./reduce/argmax.wgsl', import.meta.url), nan],
  argmaxGroup: [new URL('./reduce/argmax-group.wgsl', import.meta.url), nan],
  addParts: [new URL('./reduce/add-parts.wgsl', import.meta.url), ...epilogue],
  best: [new URL('./reduce/best.wgsl', import.meta.url), nan],
  softmax: [new URL('./softmax/softmax.wgsl', import.meta.url), nan],
  softmaxRows: [new URL('./softmax/softmax-rows.wgsl', import.meta.url), nan],
  softmaxGroup: [new URL('./softmax/softmax-group.wgsl', import.meta.url), ...group],
  maxPool: new URL('./pool/max-pool.wgsl', import.meta.url),
  maxPoolIndices: [new URL('./pool/max-pool-indices.wgsl', import.meta.url), nan],
  planeScatter: new URL('./pool/plane-scatter.wgsl', import.meta.url),
  avgPool: new URL('./pool/avg-pool.wgsl', import.meta.url),
  bilinear: new URL('./upsample/bilinear.wgsl', import.meta.url),
  scaleShift: new URL('./normalise/scale-shift.wgsl', import.meta.url),
  moments: new URL('./normalise/moments.wgsl', import.meta.url),
  momentsGroup: [new URL('./normalise/moments-group.wgsl', import.meta.url), ...group],
  mergeMoments: new URL('./normalise/merge-moments.wgsl', import.meta.url),
  planeDot: new URL('./normalise/plane-dot.wgsl', import.meta.url),
  planeDotGroup: [new URL('./normalise/plane-dot-group.wgsl', import.meta.url), ...group],
  standardiseGroup: [new URL('./normalise/standardise-group.wgsl', import.meta.url), ...group],
  standardise: new URL('./normalise/standardise.wgsl', import.meta.url),
  conv2dNaive: [new URL('./conv/conv2d-naive.wgsl', import.meta.url), ...epilogue],
  conv2dInputGradientNaive: new URL('./conv/conv2d-input-gradient-naive.wgsl', import.meta.url),
  conv2dWeightGradientNaive: new URL('./conv/conv2d-weight-gradient-naive.wgsl', import.meta.url),
  padRows: new URL('./conv/pad-rows.wgsl', import.meta.url),
  packWeights: new URL('./conv/pack-weights.wgsl', import.meta.url),
  conv2dDirect: [new URL('./conv/conv2d-direct.wgsl', import.meta.url), ...epilogue],
  conv2dRows: [new URL('./conv/conv2d-rows.wgsl', import.meta.url), ...epilogue],
  conv2dDepthwise: [new URL('./conv/conv2d-depthwise.wgsl', import.meta.url), ...epilogue],
  winogradWeights: new URL('./conv/winograd-weights.wgsl', import.meta.url),
  winogradInput: new URL('./conv/winograd-input.wgsl', import.meta.url),
  winogradOutput: [new URL('./conv/winograd-output.wgsl', import.meta.url), ...epilogue],
  patches: new URL('./conv/patches.wgsl', import.meta.url),
  gatherPatches: new URL('./conv/gather-patches.wgsl', import.meta.url),
  packPixels: new URL('./conv/pack-pixels.wgsl', import.meta.url),
  conv2dWeightGradient: new URL('./conv/conv2d-weight-gradient.wgsl', import.meta.url),
  packFactor: new URL('./matmul/pack-factor.wgsl', import.meta.url),
  matmulNaive: [new URL('./matmul/matmul-naive.wgsl', import.meta.url), ...epilogue],
  matmulDot: [
    new URL('./matmul/matmul-dot.wgsl', import.meta.url),
    new URL('./reduce/group.wgsl', import.meta.url),
    ...epilogue,
  ],
  matmulRows: [new URL('./matmul/matmul-rows.wgsl', import.meta.url), ...epilogue],
  matmulTiled: [new URL('./matmul/matmul-tiled.wgsl', import.meta.url), ...epilogue],
  matmulShared: [new URL('./matmul/matmul-shared.wgsl', import.meta.url), product, ...epilogue],
  conv2dImplicit: [new URL('./conv/conv2d-implicit.wgsl', import.meta.url), product, ...epilogue],
  attentionMix: new URL('./attention/attention-mix.wgsl', import.meta.url),
  mask: new URL('./mask/mask.wgsl', import.meta.url),
};

/**
 * The files of each kernel; its text is theirs, one after the other. In the built package their texts stand in place of
 * their addresses.
 */
export const sources: ReadonlyMap<string, readonly (URL | string)[]> = new Map(
  Object.entries(table).map(([name, files]) => [name, [files, threads].flat()]),
);
