// The CAM layer's surface.

export * from './errors.ts';
export * from './explain.ts';
export type { Method, MethodContext, MethodResult } from './method.ts';
export { type Head, recogniseHead } from './methods/cam.ts';
export { closedFormAlpha } from './methods/grad-cam-plus-plus.ts';
export * as metrics from './metrics/index.ts';
export {
  gradientOf,
  logitTarget,
  logProbabilityTarget,
  type Observation,
  observe,
  type Target,
} from './observe.ts';
