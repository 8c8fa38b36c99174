import test from 'tape';
import { DataError } from '../../models/train/data/labelled-images.ts';
import { below, normal, permutation, random } from '../../models/train/data/random.ts';

/** sfc32 in exact integers, straight from its definition. */
function reference(seed: number): () => number {
  const mask = 0xffffffffn;
  const bits = BigInt.asUintN(64, BigInt(seed));
  let [a, b, c, counter] = [bits & mask, bits >> 32n, 0n, 1n];
  const next = () => {
    const output = (a + b + counter) & mask;
    counter = (counter + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = (((c << 21n) | (c >> 11n)) + output) & mask;
    return Number(output) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}

test('random: equals sfc32 in exact integers', (t) => {
  for (const seed of [0, 1, -1, 42, 2 ** 31, 2 ** 32, -(2 ** 32) - 7, Number.MAX_SAFE_INTEGER]) {
    const [next, exact] = [random(seed), reference(seed)];
    const same = Array.from({ length: 1000 }).every(() => next() === exact());
    t.ok(same, `seed ${seed}`);
  }
  t.end();
});

test('random: seeds, far or near, give unrelated sequences', (t) => {
  const draw = (seed: number) => Array.from({ length: 64 }, random(seed));
  t.deepEqual(draw(7), draw(7), 'one seed, one sequence');
  const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => random(seed)()));
  t.equal(firsts.size, 1000, 'neighbouring seeds begin differently');
  const mean = [...firsts].reduce((sum, value) => sum + value, 0) / 1000;
  t.ok(Math.abs(mean - 0.5) < 0.04, `first numbers are spread, mean ${mean}`);
  t.notDeepEqual(draw(1), draw(2 ** 32 + 1), 'the upper bits of a seed count');
  t.end();
});

test('random: numbers are uniform and uncorrelated with the next', (t) => {
  const next = random(3);
  const [count, bins] = [200_000, 100];
  const histogram = new Float64Array(bins);
  let product = 0;
  let previous = next();
  for (let i = 0; i < count; i++) {
    const value = next();
    histogram[Math.floor(value * bins)]++;
    product += (previous - 0.5) * (value - 0.5);
    previous = value;
  }
  const expected = count / bins;
  const chiSquare = histogram.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  t.ok(chiSquare > 50 && chiSquare < 160, `chi-square of ${bins} bins is ${chiSquare.toFixed(1)}`);
  const correlation = (12 * product) / count;
  t.ok(Math.abs(correlation) < 0.01, `correlation ${correlation.toFixed(4)}`);
  t.end();
});

test('random: what is no safe integer is refused', (t) => {
  for (const seed of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    t.throws(() => random(seed), DataError, String(seed));
  }
  t.end();
});

test('normal: moments of the normal distribution, and finite where u is 0', (t) => {
  const next = random(4);
  const count = 100_000;
  const moments = [0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const value = normal(next);
    for (let k = 0; k < 4; k++) moments[k] += value ** (k + 1) / count;
  }
  for (const [k, expected, tolerance] of [
    [0, 0, 0.02],
    [1, 1, 0.03],
    [2, 0, 0.06],
    [3, 3, 0.15],
  ]) {
    t.ok(Math.abs(moments[k] - expected) < tolerance, `moment ${k + 1} is ${moments[k].toFixed(3)}`);
  }
  t.ok(Number.isFinite(normal(() => 0)), 'u = 0');
  t.ok(Number.isFinite(normal(() => 1 - 2 ** -32)), 'the largest u');
  t.end();
});

test('below: every integer up to the bound and none beyond', (t) => {
  const next = random(5);
  t.deepEqual([...new Set(Array.from({ length: 500 }, () => below(7, next)))].sort(), [0, 1, 2, 3, 4, 5, 6]);
  t.equal(
    below(2 ** 32, () => 1 - 2 ** -32),
    2 ** 32 - 1,
    'the largest number stays below',
  );
  t.end();
});

test('permutation: each element once, all orders equally likely', (t) => {
  for (const count of [0, 1, 2, 101]) {
    const order = permutation(count, random(count));
    t.deepEqual(
      [...order].sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
      `of ${count}`,
    );
  }
  const next = random(6);
  const seen = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = permutation(3, next).join('');
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  t.equal(seen.size, 6);
  t.ok(
    [...seen.values()].every((n) => n > 870 && n < 1130),
    `counts ${[...seen.values()]}`,
  );
  t.end();
});
