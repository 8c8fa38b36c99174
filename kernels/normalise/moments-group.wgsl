// moments.wgsl for GPUs: mean and biased variance of every plane, x [planes, inner] -> y [planes, 2].
// Threads: a workgroup a plane, through which its threads go side by side; group.wgsl joins what each found. Sums are those
// of blocks of 256 terms a thread.
const BLOCK = 256u;

struct Params { count: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let plane = groupIndex(group);
  if (plane >= p.count) { return; }
  let start = plane * p.inner;
  let end = start + p.inner;
  let share = 1.0 / f32(p.inner);
  var total = 0.0;
  for (var block = start + lane; block < end; block += BLOCK * WORKGROUP) {
    var sum = 0.0;
    for (var i = block; i < min(block + BLOCK * WORKGROUP, end); i += WORKGROUP) { sum += x[i]; }
    total += sum;
  }
  let mean = together(SUM, lane, total) * share;
  var variance = 0.0;
  for (var block = start + lane; block < end; block += BLOCK * WORKGROUP) {
    var squares = 0.0;
    for (var i = block; i < min(block + BLOCK * WORKGROUP, end); i += WORKGROUP) {
      let deviation = x[i] - mean;
      squares = fma(deviation, deviation * share, squares);
    }
    variance += squares;
  }
  variance = together(SUM, lane, variance);
  if (lane == 0u) {
    y[2u * plane] = mean;
    y[2u * plane + 1u] = variance;
  }
}
