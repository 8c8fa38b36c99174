// Adjoint of take.wgsl: d [outer, m, inner], indices [m] -> y [outer, n, inner],
// y[o, k, i] = sum of d[o, j, i] over the j with indices[j] = k.
// Threads: one an output element, looking through all m indices (no atomics, so the sum's order is fixed).
struct Params { count: u32, n: u32, inner: u32, m: u32 }
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
  let o = t / (p.inner * p.n);
  var sum = 0.0;
  for (var j = 0u; j < p.m; j++) {
    if (indices[j] == k) { sum += d[(o * p.m + j) * p.inner + i]; }
  }
  y[t] = sum;
}
