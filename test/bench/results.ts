// Results made up for tests, around given measurements.

import type { Measurement, Results } from '../../bench/results.ts';

export const resultsOf = (measurements: readonly Measurement[]): Results => ({
  suite: 'made up',
  environment: {
    date: '2026-01-01 00:00',
    commit: 'abc',
    adapter: 'paper (gles)',
    cpu: 'none',
    cores: 2,
    platform: 'linux x64',
    engines: { limelight: { version: '1', adapter: 'paper (gles)' } },
    load: 0,
    rounds: 15,
    seconds: 60,
  },
  peaks: { flops: 100e9, bandwidth: 10e9 },
  work: { 'relu 1M': { flops: 1e6, bytes: 8e6 } },
  measurements,
});
