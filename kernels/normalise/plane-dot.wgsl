// Dot product of every plane of a with a plane of b, whose `planes` planes are gone through again and again, in parts:
// a [count, inner], b [planes, inner] -> y [parts, count], over [s * chunk, (s + 1) * chunk) of the planes.
// Threads: one a part of a plane of a; each reads it and that of b, writes one number. Accumulators and blocks as in
// reduce.wgsl.
const BLOCK = 256u;

struct Params { threads: u32, count: u32, inner: u32, planes: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.threads) { return; }
  let plane = t % p.count;
  let first = t / p.count * p.chunk;
  var i = plane * p.inner + first;
  var j = plane % p.planes * p.inner + first;
  let last = plane * p.inner + min(first + p.chunk, p.inner);
  var total = vec4f(0.0);
  while (i + 4u <= last) {
    var sums = vec4f(0.0);
    for (let end = min(i + BLOCK, last); i + 4u <= end; i += 4u) {
      sums = fma(vec4f(a[i], a[i + 1u], a[i + 2u], a[i + 3u]), vec4f(b[j], b[j + 1u], b[j + 2u], b[j + 3u]), sums);
      j += 4u;
    }
    total += sums;
  }
  for (; i < last; i++) {
    total.x = fma(a[i], b[j], total.x);
    j++;
  }
  y[t] = (total.x + total.y) + (total.z + total.w);
}
