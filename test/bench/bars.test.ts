// Bars from made-up results, of which it is plain whether they are met.

import test from 'tape';
import { type Bar, barsOf, bestPeer, isMet } from '../../bench/bars.ts';
import { camCaseNames, coldCase, explained, maskedBatches } from '../../bench/cases.ts';
import type { Measurement } from '../../bench/results.ts';
import { resultsOf } from './results.ts';

const timed = (name: string, engine: string, samples: readonly number[], first = 1000): Measurement => ({
  case: name,
  engine,
  outcome: { first, samples, repeats: 1, difference: 0 },
});

const find = (bars: readonly Bar[], what: string): Bar | undefined =>
  bars.find((bar) => bar.what.includes(what));

test('speed is told against the best WebGPU peer', (t) => {
  const results = resultsOf([
    timed('relu 1M', 'limelight', [1, 1, 1]),
    timed('relu 1M', 'tfjs-webgpu', [3, 3, 3]),
    timed('relu 1M', 'jax-js', [2, 2, 2]),
    timed('relu 1M', 'ort-node', [0.1, 0.1, 0.1]),
    { case: 'relu 1M', engine: 'ort-webgpu', outcome: { failed: 'lost' } },
  ]);
  t.equal(bestPeer(results, 'relu 1M')!.engine, 'jax-js', 'not the processor, not one that failed');
  const [bar, ...others] = barsOf(results);
  t.equal(bar!.against, 'jax-js');
  t.equal(bar!.measured.median, 2);
  t.ok(isMet(bar!), '2 times as fast, 1.4 asked for');
  t.equal(others.length, 0, 'cases that were not measured have no bar');
  t.notOk(isMet({ ...bar!, limit: 2.5 }));
  t.end();
});

test('a whole network is held to ONNX Runtime, and to being slower than no other peer', (t) => {
  const name = 'ResNet-20, batch 1';
  const of = (jax: number) =>
    barsOf(
      resultsOf([
        timed(name, 'limelight', [10]),
        timed(name, 'ort-webgpu', [55]),
        timed(name, 'jax-js', [jax]),
      ]),
    );
  t.deepEqual(
    of(5).map((bar) => [bar.against, bar.limit, isMet(bar)]),
    [
      ['ort-webgpu', 5, true],
      ['jax-js', 1, false],
    ],
  );
  t.deepEqual(
    of(60).map((bar) => bar.against),
    ['ort-webgpu'],
    'the best peer is the named one',
  );
  t.end();
});

test('two of three convolutions are to be faster than WebAssembly', (t) => {
  const names = [
    'conv 3x3 [1,64,56,56] to 64',
    'conv 3x3 [1,128,28,28] to 128',
    'conv 3x3 [32,64,16,16] to 64',
  ];
  const wasm = [3, 2, 0.5];
  const measured = names.flatMap((name, i) => [
    timed(name, 'limelight', [1]),
    timed(name, 'tfjs-wasm', [wasm[i]!]),
  ]);
  const bar = find(barsOf(resultsOf(measured)), 'second best of three')!;
  t.equal(bar.measured.median, 2);
  t.ok(isMet(bar));
  t.end();
});

test('methods are told in forward passes, ten explanations in what is unavoidable', (t) => {
  const e = explained.find(({ network }) => network === 'squeezenet1_0')!;
  const names = camCaseNames(e);
  t.equal(maskedBatches(e), 32, '512 channels in batches of 16');
  const bars = barsOf(
    resultsOf([
      timed(names.forward, 'limelight', [100]),
      timed(names.masked, 'limelight', [1250]),
      timed(names.method('grad-cam'), 'limelight', [120]),
      timed(names.method('grad-cam++'), 'limelight', [123]),
      timed(names.method('ablation-cam'), 'limelight', [310]),
      timed(names.method('score-cam'), 'limelight', [44_000]),
      timed(names.shared, 'limelight', [44_385]),
    ]),
  );
  const told = (what: string) => {
    const { measured, limit } = find(bars, what)!;
    return [Number(measured.median.toFixed(3)), limit, isMet(find(bars, what)!)];
  };
  t.deepEqual(told('Grad-CAM'), [1.2, 1.5, true]);
  t.deepEqual(told('Grad-CAM++'), [1.025, 1.05, true]);
  t.deepEqual(told('Ablation-CAM'), [3.1, 3, false]);
  t.deepEqual(told('Score-CAM'), [1.1, 1.15, true]);
  // 100 forward + 2 x 20 gradients + 210 ablation + 40,000 masked = 40,350
  t.deepEqual(told('ten explanations'), [1.1, 1.2, true]);
  t.end();
});

test('the first explanation is told in seconds, and against the second', (t) => {
  const bars = barsOf(resultsOf([timed(coldCase.name, 'limelight', [400, 500, 600], 3000)]));
  t.deepEqual(
    bars.map((bar) => [bar.measured.median, bar.limit, isMet(bar)]),
    [
      [3, 8, true],
      [2.5, 2, false],
    ],
  );
  t.end();
});
