// Gather along an axis by a list of indices: x [outer, n, inner], indices [m] -> y [outer, m, inner],
// y[o, j, i] = x[o, indices[j], i]. Indices are below n: the engine has checked.
// Threads: one an output element; reads an index and an element, writes one.
struct Params { count: u32, n: u32, inner: u32, m: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let i = t % p.inner;
  let j = (t / p.inner) % p.m;
  let o = t / (p.inner * p.m);
  y[t] = x[(o * p.n + indices[j]) * p.inner + i];
}
