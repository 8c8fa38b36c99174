// Softmax (LOG = 0) or log-softmax (LOG = 1) along the middle axis of x [outer, n, inner].
// Threads: one a line; three passes over it: the maximum, the sum of exponentials, the result. The maximum is
// subtracted first, so no exponential overflows.
const LOG = 0u;
const WORKGROUP = 64u;

struct Params { lines: u32, n: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 65535u * WORKGROUP;
  if (t >= p.lines) { return; }
  let start = t / p.inner * p.n * p.inner + t % p.inner;
  let end = start + p.n * p.inner;
  var largest = x[start];
  for (var i = start; i < end; i += p.inner) { largest = max(largest, x[i]); }
  var total = 0.0;
  for (var i = start; i < end; i += p.inner) { total += exp(x[i] - largest); }
  if (LOG == 1u) {
    let shift = largest + log(total);
    for (var i = start; i < end; i += p.inner) { y[i] = x[i] - shift; }
  } else {
    let scale = 1.0 / total;
    for (var i = start; i < end; i += p.inner) { y[i] = exp(x[i] - largest) * scale; }
  }
}
