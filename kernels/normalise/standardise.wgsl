// Rows with mean 0 and variance 1: x [rows, n] -> by RESULT
// 0: layer normalisation (Ba 2016), (x - mean) / sqrt(variance + epsilon) * weight + bias, weight and bias [n];
// 1: the same without weight and bias, which are not read;
// 2: 1 / sqrt(variance + epsilon) [rows].
// Mean and biased variance are those of each row.
// Threads: one a row; up to three passes over it (the later ones from cache): mean, variance, result. Sums are those of
// blocks. Everything is taken of the difference to the row's first element, so that a large number that a whole row shares
// costs no digits; and deviations, where one is larger than 1, in units of the largest, so that no square overflows.
const RESULT = 0u;
const BLOCK = 256u;

struct Params { rows: u32, n: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.rows) { return; }
  let start = t * p.n;
  let first = x[start];
  var mean = 0.0;
  var low = 0.0;
  var high = 0.0;
  for (var block = 0u; block < p.n; block += BLOCK) {
    var sum = 0.0;
    for (var i = block; i < min(block + BLOCK, p.n); i++) {
      let difference = x[start + i] - first;
      sum += difference;
      low = min(low, difference);
      high = max(high, difference);
    }
    mean += sum;
  }
  mean /= f32(p.n);
  let unit = max(1.0, max(high - mean, mean - low));
  let perUnit = 1.0 / unit;
  var variance = 0.0;
  for (var block = 0u; block < p.n; block += BLOCK) {
    var squares = 0.0;
    for (var i = block; i < min(block + BLOCK, p.n); i++) {
      let deviation = (x[start + i] - first - mean) * perUnit;
      squares = fma(deviation, deviation, squares);
    }
    variance += squares;
  }
  let inverse = 1.0 / sqrt(variance / f32(p.n) + p.epsilon * perUnit * perUnit);
  if (RESULT == 2u) {
    y[t] = inverse * perUnit;
    return;
  }
  for (var i = 0u; i < p.n; i++) {
    let standard = (x[start + i] - first - mean) * perUnit * inverse;
    if (RESULT == 0u) { y[start + i] = fma(standard, weight[i], bias[i]); } else { y[start + i] = standard; }
  }
}
