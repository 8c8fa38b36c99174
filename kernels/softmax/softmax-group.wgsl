// softmax.wgsl along the last axis, for GPUs: x [lines, n].
// Threads: a workgroup a line, through which its threads go side by side in the same three passes; group.wgsl joins
// what each found. Sums are those of blocks of 256 terms a thread.
const LOG = 0u;
const BLOCK = 256u;

struct Params { lines: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = groupIndex(group);
  if (line >= p.lines) { return; }
  let start = line * p.n;
  let end = start + p.n;
  var most = x[start];
  for (var i = start + lane; i < end; i += WORKGROUP) { most = joined(MAX, most, x[i]); }
  let largest = together(MAX, lane, most);
  var total = 0.0;
  for (var block = start + lane; block < end; block += BLOCK * WORKGROUP) {
    var sum = 0.0;
    for (var i = block; i < min(block + BLOCK * WORKGROUP, end); i += WORKGROUP) { sum += exp(x[i] - largest); }
    total += sum;
  }
  total = together(SUM, lane, total);
  // Also where one is NaN, as the largest then is.
  let isLost = !isFinite(largest);
  let scale = select(1.0 / total, nan(), isLost);
  let rest = select(log(total), nan(), isLost);
  for (var i = start + lane; i < end; i += WORKGROUP) {
    if (LOG == 1u) { y[i] = (x[i] - largest) - rest; } else { y[i] = exp(x[i] - largest) * scale; }
  }
}
