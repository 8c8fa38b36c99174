// Dot product of every plane of a with the same plane of b: a, b [planes, inner] -> y [planes].
// Threads: one a plane; each reads its two planes, writes one number. Four accumulators, as in fold.wgsl.
struct Params { count: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let plane = g.x + g.y * 4194240u;
  if (plane >= p.count) { return; }
  let end = (plane + 1u) * p.inner;
  var sums = vec4f(0.0);
  var i = plane * p.inner;
  for (; i + 4u <= end; i += 4u) {
    sums = fma(vec4f(a[i], a[i + 1u], a[i + 2u], a[i + 3u]), vec4f(b[i], b[i + 1u], b[i + 2u], b[i + 3u]), sums);
  }
  for (; i < end; i++) { sums.x = fma(a[i], b[i], sums.x); }
  y[plane] = (sums.x + sums.y) + (sums.z + sums.w);
}
