// One number from one of each thread of a workgroup, which all of them then have: `op` in the order of `reductions`. NaN where
// one is NaN. Threads join in pairs, then pairs of pairs, so that the rounding error is that of pairwise summation.
const SUM = 0u;
const MAX = 1u;
const MIN = 2u;
const NORM = 3u;
var<workgroup> found: array<f32, WORKGROUP>;
// By op, apart from what the next call writes: llvmpipe moves reads of workgroup memory across barriers to where they are used.
var<workgroup> results: array<f32, 4>;

fn joined(op: u32, a: f32, b: f32) -> f32 {
  if (op == SUM) { return a + b; }
  let other = select(b, abs(b), op == NORM);
  let best = select(max(a, other), min(a, other), op == MIN);
  return select(select(best, b, isNan(b)), a, isNan(a));
}

fn together(op: u32, lane: u32, v: f32) -> f32 {
  found[lane] = v;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) { found[lane] = joined(op, found[lane], found[lane + half]); }
    workgroupBarrier();
  }
  if (lane == 0u) { results[op] = found[0]; }
  workgroupBarrier();
  return results[op];
}
