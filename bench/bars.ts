// The bars that Limelight is held to, worked out from a run's results.

import {
  againstWasm,
  camCaseNames,
  coldCase,
  type Explained,
  explained,
  maskedBatches,
  suites,
} from './cases.ts';
import type { Results } from './results.ts';
import { samplesOf } from './results.ts';
import { median, ratio, type Summary } from './statistics.ts';

export interface Bar {
  readonly what: string;
  /** Times as fast as the best peer, or times as long as what it is compared with, or seconds. */
  readonly measured: Summary;
  readonly unit: 'x' | 's';
  /** The bar: `at least` for speed, `at most` for cost. */
  readonly bound: 'at least' | 'at most';
  readonly limit: number;
  /** What it is compared with. */
  readonly against: string;
  /** Milliseconds of Limelight, and of what it is compared with where that is one thing. */
  readonly ours: number;
  readonly theirs?: number;
}

export const isMet = ({ measured, bound, limit }: Bar): boolean =>
  bound === 'at least' ? measured.median >= limit : measured.median <= limit;

/** Engines that run on the same WebGPU adapter. */
export const webgpuPeers = ['tfjs-webgpu', 'jax-js', 'ort-webgpu'];

/** The best of some engines on a case, by their medians. */
export function bestPeer(
  results: Results,
  name: string,
  engines: readonly string[] = webgpuPeers,
): { engine: string; samples: readonly number[] } | undefined {
  return engines
    .flatMap((engine) => {
      const samples = samplesOf(results, name, engine);
      return samples ? [{ engine, samples }] : [];
    })
    .sort((a, b) => median(a.samples) - median(b.samples))[0];
}

function against(
  results: Results,
  name: string,
  limit: number,
  engines?: readonly string[],
): Bar | undefined {
  const ours = samplesOf(results, name, 'limelight');
  const peer = bestPeer(results, name, engines);
  if (ours === undefined || peer === undefined) return undefined;
  return {
    what: name,
    measured: ratio(peer.samples, ours),
    unit: 'x',
    bound: 'at least',
    limit,
    against: peer.engine,
    ours: median(ours),
    theirs: median(peer.samples),
  };
}

/** Speed against the peers that a case names, and nowhere slower than any other WebGPU peer. */
function speedBars(results: Results): Bar[] {
  return suites.peers!.flatMap(({ name, bar = 1, against: named = webgpuPeers }) => {
    const best = bestPeer(results, name)?.engine;
    const isNamed = best === undefined || named.includes(best);
    return [against(results, name, bar, named), isNamed ? undefined : against(results, name, 1)].filter(
      (found) => found !== undefined,
    );
  });
}

/** On two of the three shapes Limelight is to be faster than tfjs-wasm: the second best ratio is above 1. */
function wasmBar(results: Results): Bar[] {
  const found = againstWasm.flatMap((name) => against(results, name, 1, ['tfjs-wasm']) ?? []);
  const second = found.sort((a, b) => b.measured.median - a.measured.median)[1];
  return second ? [{ ...second, what: `${second.what} (second best of three)` }] : [];
}

/** Costs of methods as multiples of what they cannot do without. */
function methodBars(results: Results, e: Explained): Bar[] {
  const names = camCaseNames(e);
  const samples = (name: string) => samplesOf(results, name, 'limelight');
  const forward = samples(names.forward);
  const masked = samples(names.masked)?.map((ms) => ms * maskedBatches(e));
  const method = (name: string) => samples(names.method(name));
  const [gradCam, plusPlus, ablation, score, shared] = [
    method('grad-cam'),
    method('grad-cam++'),
    method('ablation-cam'),
    method('score-cam'),
    samples(names.shared),
  ];
  const bar = (
    what: string,
    ours: readonly number[] | undefined,
    theirs: readonly number[] | undefined,
    limit: number,
    other: string,
  ): Bar[] =>
    ours && theirs
      ? [
          {
            what: `${e.title}, ${what}`,
            measured: ratio(ours, theirs),
            unit: 'x',
            bound: 'at most',
            limit,
            against: other,
            ours: median(ours),
            theirs: median(theirs),
          },
        ]
      : [];
  const unavoidable =
    forward && masked && gradCam && ablation && unavoidableTen(forward, masked, gradCam, ablation);
  return [
    ...bar('Grad-CAM', gradCam, forward, 1.5, 'one forward pass'),
    ...bar('Grad-CAM++', plusPlus, gradCam, 1.05, 'Grad-CAM'),
    ...bar('Ablation-CAM', ablation, forward, e.linearTail ? 1.3 : 3, 'one forward pass'),
    ...bar('Score-CAM', score, masked, 1.15, `${e.channels} masked forward passes`),
    ...bar('ten explanations', shared, unavoidable, 1.2, 'what is unavoidable'),
  ];
}

/**
 * Five methods of two classes cannot do without one forward pass, a gradient for each class, one run of the tail with
 * channels ablated, and one forward pass for each mask; both classes read the last two.
 */
function unavoidableTen(
  forward: readonly number[],
  masked: readonly number[],
  gradCam: readonly number[],
  ablation: readonly number[],
): number[] {
  const rounds = Math.min(...[forward, masked, gradCam, ablation].map((s) => s.length));
  return Array.from({ length: rounds }, (_, i) => {
    const beyond = (ms: number) => Math.max(0, ms - forward[i]!);
    return forward[i]! + 2 * beyond(gradCam[i]!) + beyond(ablation[i]!) + masked[i]!;
  });
}

/** The first explanation from a cold process: its time, and how much more than the second it takes. */
function coldBars(results: Results): Bar[] {
  const found = results.measurements.find(({ case: name }) => name === coldCase.name)?.outcome;
  if (found === undefined || 'failed' in found) return [];
  const second = median(found.samples);
  const seconds = (ms: number): Summary => ({
    count: found.samples.length,
    q1: ms / 1e3,
    median: ms / 1e3,
    q3: ms / 1e3,
  });
  const shared = { unit: 's', bound: 'at most', ours: found.first } as const;
  return [
    {
      ...shared,
      what: coldCase.name,
      measured: seconds(found.first),
      limit: 8,
      against: 'start of the process',
    },
    {
      ...shared,
      what: `${coldCase.name}, beyond the second`,
      measured: seconds(found.first - second),
      limit: 2,
      against: 'the second explanation',
      theirs: second,
    },
  ];
}

/** Every bar for which the results have what it needs. */
export const barsOf = (results: Results): Bar[] => [
  ...speedBars(results),
  ...wasmBar(results),
  ...explained.flatMap((e) => methodBars(results, e)),
  ...coldBars(results),
];
