// Concatenation, one input at a time: x [outer, n, inner] is written into y [outer, total, inner] at `offset`
// along the middle axis. Threads: one an input element; reads one, writes one.
struct Params { count: u32, n: u32, inner: u32, total: u32, offset: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = threadIndex(g);
  if (i >= p.count) { return; }
  let run = p.n * p.inner;
  let outer = i / run;
  y[(outer * p.total + p.offset) * p.inner + i % run] = x[i];
}
