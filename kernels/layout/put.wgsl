// Adjoint of take.wgsl, in parts: d [outer, m, inner], indices [m] -> y [parts, outer, n, inner],
// y[s, o, k, i] = sum of d[o, j, i] over the j in [s * chunk, (s + 1) * chunk) with indices[j] = k.
// Threads: one an output element, looking through the indices of its part (no atomics, so the sum's order is fixed), in
// blocks whose sums are added up.
const BLOCK = 256u;

struct Params { count: u32, n: u32, inner: u32, m: u32, results: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let i = t % p.inner;
  let k = (t / p.inner) % p.n;
  let o = t % p.results / (p.inner * p.n);
  let first = t / p.results * p.chunk;
  let last = min(first + p.chunk, p.m);
  var total = 0.0;
  for (var block = first; block < last; block += BLOCK) {
    var sum = 0.0;
    for (var j = block; j < min(block + BLOCK, last); j++) {
      if (indices[j] == k) { sum += d[(o * p.m + j) * p.inner + i]; }
    }
    total += sum;
  }
  y[t] = total;
}
