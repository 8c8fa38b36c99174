// Elements of each plane by index: x [planes, n], indices [planes, m] -> y [planes, m], y[p, j] = x[p, indices[p, j]].
// Threads: one an output element; reads an index and an element, writes one.
struct Params { count: u32, n: u32, m: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  y[t] = x[t / p.m * p.n + indices[t]];
}
