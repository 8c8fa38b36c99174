// The models layer's surface.

import * as layers from './layers.ts';

export { type Architecture, adaptTensors, architectures } from './architectures/index.ts';
export { resnetCifar } from './architectures/resnet-cifar.ts';
export { cifarGap, digitDense, digitScenes, digitVit } from './architectures/shipped.ts';
export { vit } from './architectures/vit.ts';
export { type CatalogEntry, catalog, catalogEntry, ModelError } from './catalog.ts';
export { describeImported } from './describe.ts';
export type { Box, Detection } from './detection.ts';
export { type DryRun, dryRun, firstCurved, firstNonlinear, shapesOf } from './dry-run.ts';
export { type FeatureMapView, featureMapView } from './feature-map.ts';
export { isNetwork, type Model, readModel, type Weights } from './formats/any.ts';
export { FormatError } from './formats/errors.ts';
export type { HostTensor, StateDict } from './formats/host-tensor.ts';
export type { ImportedNetwork, OpenPart, Part } from './formats/imported.ts';
export { readNpy, writeNpy } from './formats/npy.ts';
export { readSafetensors, type Safetensors, writeSafetensors } from './formats/safetensors.ts';
export {
  boundary,
  evaluate,
  type Graph,
  type GraphNode,
  INPUT,
  nodeOf,
  parameterCount,
  type Traits,
} from './graph.ts';
export { HubError } from './hub/remote-file.ts';
export {
  assertFits,
  classIndex,
  disposeNetwork,
  loadNetwork,
  type Network,
  type NetworkDescription,
} from './network.ts';
export { type ModelFile, type ModelSource, type OpenOptions, open } from './open.ts';
export type { Pixels } from './pixels.ts';
export {
  type Interpolation,
  interpolations,
  type Preprocessing,
  PreprocessingError,
  preprocess,
  presets,
  resizePixels,
  visiblePixels,
} from './preprocess.ts';
export { type Fitted, fitted, recognise } from './recognise.ts';
export type { Segmentation } from './segmentation.ts';
export { defaultTargetLayer, targetLayers } from './target-layer.ts';
export type { Tokenizer } from './text.ts';
// Not as `export * as`, which esbuild keeps with all that it leads to, used or not.
export { layers };
