// What becomes of sums before they are written, in every convolution and matrix product: four neighbours `sum`, whose
// bias was added already, and the index `at` of the first of them in the result. With SUMMED = 1 the `summand`, of the
// result's shape, is added; where `clamped`, the result is then brought into [low, high]. What it gives for neighbours
// beyond the result's edge is not to be written.
const SUMMED = 0u;

fn finished(sum: vec4f, at: u32) -> vec4f {
  var v = sum;
  if (SUMMED == 1u) { v += vec4f(summand[at], summand[at + 1u], summand[at + 2u], summand[at + 3u]); }
  return select(v, clampOrNan4(v, p.low, p.high), p.clamped == 1u);
}
