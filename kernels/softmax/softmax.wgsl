// Softmax (LOG = 0) or log-softmax (LOG = 1) along the middle axis of x [outer, n, inner].
// Threads: one a line; three passes over it: the maximum, the sum of exponentials, the result. The maximum is
// subtracted first, so no exponential overflows and no large number swallows a small one. A line with NaN, or without
// a finite maximum, becomes NaN. The sum is one of blocks, so that of many equal numbers it keeps its digits.
const LOG = 0u;
const BLOCK = 256u;

struct Params { lines: u32, n: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.lines) { return; }
  let start = t / p.inner * p.n * p.inner + t % p.inner;
  let end = start + p.n * p.inner;
  var largest = x[start];
  var hasNan = false;
  for (var i = start; i < end; i += p.inner) {
    largest = max(largest, x[i]);
    hasNan = hasNan || isNan(x[i]);
  }
  var total = 0.0;
  for (var block = start; block < end; block += BLOCK * p.inner) {
    var sum = 0.0;
    for (var i = block; i < min(block + BLOCK * p.inner, end); i += p.inner) { sum += exp(x[i] - largest); }
    total += sum;
  }
  let isLost = hasNan || !isFinite(largest);
  if (LOG == 1u) {
    let rest = select(log(total), nan(), isLost);
    for (var i = start; i < end; i += p.inner) { y[i] = (x[i] - largest) - rest; }
  } else {
    let scale = select(1.0 / total, nan(), isLost);
    for (var i = start; i < end; i += p.inner) { y[i] = exp(x[i] - largest) * scale; }
  }
}
