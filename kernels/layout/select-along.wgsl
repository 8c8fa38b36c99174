// Elements of each line along an axis: x [outer, n, inner], indices [outer, m, inner] -> y [outer, m, inner],
// y[o, j, i] = x[o, indices[o, j, i], i]. With m = 1 and an argmax this is the maximum along the axis.
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
  y[t] = x[(t / (p.m * p.inner) * p.n + indices[t]) * p.inner + t % p.inner];
}
