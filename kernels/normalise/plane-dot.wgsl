// Dot product of every plane of a with a plane of b, whose `planes` planes are gone through again and again:
// a [count, inner], b [planes, inner] -> y [count].
// Threads: one a plane of a; each reads its two planes, writes one number. Four accumulators, as in fold.wgsl.
struct Params { count: u32, inner: u32, planes: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let plane = threadIndex(g);
  if (plane >= p.count) { return; }
  let end = (plane + 1u) * p.inner;
  var sums = vec4f(0.0);
  var i = plane * p.inner;
  var j = plane % p.planes * p.inner;
  for (; i + 4u <= end; i += 4u) {
    sums = fma(vec4f(a[i], a[i + 1u], a[i + 2u], a[i + 3u]), vec4f(b[j], b[j + 1u], b[j + 2u], b[j + 3u]), sums);
    j += 4u;
  }
  for (; i < end; i++) {
    sums.x = fma(a[i], b[j], sums.x);
    j++;
  }
  y[plane] = (sums.x + sums.y) + (sums.z + sums.w);
}
