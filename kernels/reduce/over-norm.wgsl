// Division by the maximum norm: y[i] = x[i] / n, where n is the largest magnitude among `norms`, the few numbers that
// reduce.wgsl made of x. n is brought into [low, high], so that zeros over zeros are zeros. Where one is NaN all are.
// Threads as in unary.wgsl: 4 vec4 a thread. Each reads the norms and finds n by itself, which takes less than another
// launch; then it reads and writes its own.
const PER_THREAD = 4u;

struct Params { vectors: u32, norms: u32, low: f32, high: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var n = vec4f(0.0);
  for (var i = 0u; i < p.norms; i++) {
    let next = vec4f(norms[i]);
    n = orNan(max(n, abs(next)), n, next);
  }
  n = clampOrNan4(n, p.low, p.high);
  let first = groupIndex(group) * WORKGROUP * PER_THREAD + lane;
  // The loop ends with the data, for the reason given in binary.wgsl.
  for (var i = first; i < min(first + WORKGROUP * PER_THREAD, p.vectors); i += WORKGROUP) { y[i] = x[i] / n; }
}
