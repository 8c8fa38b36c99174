// standardise.wgsl for GPUs: x [rows, n] -> by RESULT the same.
// Threads: a workgroup a row, through which its threads go side by side in the same passes; group.wgsl joins what each
// found. Sums are those of blocks of 256 terms a thread.
const RESULT = 0u;
const BLOCK = 256u;

struct Params { rows: u32, n: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = groupIndex(group);
  if (t >= p.rows) { return; }
  let start = t * p.n;
  let first = x[start];
  var total = 0.0;
  var low = 0.0;
  var high = 0.0;
  for (var block = lane; block < p.n; block += BLOCK * WORKGROUP) {
    var sum = 0.0;
    for (var i = block; i < min(block + BLOCK * WORKGROUP, p.n); i += WORKGROUP) {
      let difference = x[start + i] - first;
      sum += difference;
      low = min(low, difference);
      high = max(high, difference);
    }
    total += sum;
  }
  let mean = together(SUM, lane, total) / f32(p.n);
  low = together(MIN, lane, low);
  high = together(MAX, lane, high);
  let unit = max(1.0, max(high - mean, mean - low));
  let perUnit = 1.0 / unit;
  var variance = 0.0;
  for (var block = lane; block < p.n; block += BLOCK * WORKGROUP) {
    var squares = 0.0;
    for (var i = block; i < min(block + BLOCK * WORKGROUP, p.n); i += WORKGROUP) {
      let deviation = (x[start + i] - first - mean) * perUnit;
      squares = fma(deviation, deviation, squares);
    }
    variance += squares;
  }
  variance = together(SUM, lane, variance);
  let inverse = 1.0 / sqrt(variance / f32(p.n) + p.epsilon * perUnit * perUnit);
  if (RESULT == 2u) {
    if (lane == 0u) { y[t] = inverse * perUnit; }
    return;
  }
  for (var i = lane; i < p.n; i += WORKGROUP) {
    let standard = (x[start + i] - first - mean) * perUnit * inverse;
    if (RESULT == 0u) { y[start + i] = fma(standard, weight[i], bias[i]); } else { y[start + i] = standard; }
  }
}
