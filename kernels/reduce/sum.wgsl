// Scaled sum along the middle axis, in parts: x [outer, n, inner] -> y [outer, parts, inner],
// y[o, s, i] = scale * sum of x[o, k, i] over k in [s * chunk, (s + 1) * chunk).
// Threads: one an output element; each reads its chunk, writes one number. Long sums over few lines are split in
// parts so that enough threads work, then summed again. Four accumulators shorten the chain of additions, which
// also keeps the rounding error near that of pairwise summation.
struct Params { count: u32, n: u32, inner: u32, parts: u32, chunk: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  let i = t % p.inner;
  let s = (t / p.inner) % p.parts;
  let o = t / (p.inner * p.parts);
  let first = s * p.chunk;
  let last = min(first + p.chunk, p.n);
  var at = (o * p.n + first) * p.inner + i;
  var sums = vec4f(0.0);
  var k = first;
  for (; k + 4u <= last; k += 4u) {
    sums += vec4f(x[at], x[at + p.inner], x[at + 2u * p.inner], x[at + 3u * p.inner]);
    at += 4u * p.inner;
  }
  for (; k < last; k++) {
    sums.x += x[at];
    at += p.inner;
  }
  y[t] = ((sums.x + sums.y) + (sums.z + sums.w)) * p.scale;
}
