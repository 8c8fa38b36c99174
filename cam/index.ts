// The CAM layer's surface.

export { type BoxOptions, boxesOf } from './boxes.ts';
export {
  type Claim,
  claimOf,
  claims,
  sameAs,
  type Verdict,
  type VerifyOptions,
  verify,
} from './claims/index.ts';
export { LayerError, MethodError, NotFiniteError, TargetError } from './errors.ts';
export {
  disposeExplanation,
  type ExplainedTerm,
  type ExplainOptions,
  type Explanation,
  explain,
  explainBatch,
} from './explain.ts';
export { normaliseMap, upsampleMap, weightedSum } from './map.ts';
export { type LargestChange, largestChange, type MapFunctionOptions, mapFunction } from './map-function.ts';
export type { Method, MethodContext, Term, Terms } from './method.ts';
export { camLayer, camRefusal } from './methods/cam.ts';
export {
  defaultMethods,
  defaultMethodsOf,
  methodOf,
  methods,
  recurrentMethods,
  tokenMethods,
} from './methods/index.ts';
export * as metrics from './metrics/index.ts';
export type { Outputs } from './outputs.ts';
export { type Prediction, predict } from './predict.ts';
export type { LogitSum, Target } from './target.ts';
export * as targets from './targets.ts';
export { observe, type Trace, type TracedLayer, type TraceOptions } from './trace.ts';
