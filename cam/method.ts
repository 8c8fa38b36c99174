// What a CAM method is: from an observation and a target to a map, usually through one weight a channel.

import type { Tensor } from '../engine/index.ts';
import type { Observation, Target } from './observe.ts';

/** What a method is given beside the observation. */
export interface MethodContext {
  /** S: what is explained. */
  readonly target: Target;
  /** The class that is explained; CAM and Score-CAM need it by itself. */
  readonly classIndex: number;
  /** Called as the work goes on, with the share done, 0 to 1. */
  readonly progress?: (share: number) => void;
}

export interface MethodResult {
  /** One weight a channel [K]; undefined for a method that has none. */
  readonly weights?: Tensor;
  /** The map at layer resolution [h, w], before ReLU. */
  readonly map: Tensor;
  /** Something a user should know when the count [] is not zero, and how it is said. */
  readonly caveat?: { readonly count: Tensor; readonly say: (count: number) => string };
}

export interface Method {
  readonly name: string;
  /** Name as printed. */
  readonly title: string;
  /** Whether its paper cuts the map off at zero. */
  readonly relu: boolean;
  readonly explain: (observation: Observation, context: MethodContext) => MethodResult;
}

/** Versions of a feature map or an input evaluated at once: as many as fit in about 64 MiB, from 1 to 64. */
export function chunkSize(x: Tensor): number {
  const bytes = 4 * x.size;
  return Math.max(1, Math.min(64, Math.floor((64 * 2 ** 20) / bytes)));
}
