// Adjoint of select-along.wgsl: d [outer, inner], indices [outer, inner] -> y [outer, n, inner],
// y[o, k, i] = d[o, i] where indices[o, i] = k, else 0.
// Threads: one an output element; reads an index and an element, writes one.
struct Params { count: u32, n: u32, inner: u32 }
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
  let line = t / (p.inner * p.n) * p.inner + i;
  y[t] = select(0.0, d[line], indices[line] == k);
}
