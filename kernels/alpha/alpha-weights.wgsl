// Grad-CAM++'s weights (Chattopadhay 2018, equations 5 and 19): of a feature map a and a gradient g [planes, inner]
// w[k] = sum_i r[k, i] / (2 + r[k, i] sum_j a[k, j]), where r = ReLU(g); w [planes]. NaN stays.
// Threads: one a plane; each reads its two planes, writes one number. Four accumulators, as in fold.wgsl.
struct Params { count: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;

// The terms of four elements.
fn terms(gradient: vec4f, total: f32) -> vec4f {
  let r = select(max(gradient, vec4f(0.0)), gradient, isNan4(gradient));
  return r / fma(r, vec4f(total), vec4f(2.0));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let plane = id.x + id.y * 4194240u;
  if (plane >= p.count) { return; }
  let first = plane * p.inner;
  let end = first + p.inner;
  var sums = vec4f(0.0);
  var i = first;
  for (; i + 4u <= end; i += 4u) { sums += vec4f(a[i], a[i + 1u], a[i + 2u], a[i + 3u]); }
  for (; i < end; i++) { sums.x += a[i]; }
  let total = (sums.x + sums.y) + (sums.z + sums.w);
  sums = vec4f(0.0);
  i = first;
  for (; i + 4u <= end; i += 4u) { sums += terms(vec4f(g[i], g[i + 1u], g[i + 2u], g[i + 3u]), total); }
  for (; i < end; i++) { sums.x += terms(vec4f(g[i]), total).x; }
  w[plane] = (sums.x + sums.y) + (sums.z + sums.w);
}
