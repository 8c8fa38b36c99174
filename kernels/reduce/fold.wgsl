// Fold along the middle axis, in parts: x [outer, n, inner] -> y [outer, parts, inner], where y[o, s, i] is `scale` times
// the sum, the largest, the smallest or the largest magnitude (OP, in the order of `folds`) of x[o, k, i] over k in
// [s * chunk, (s + 1) * chunk).
// Threads: one an output element; each reads its chunk, writes one number. Long folds over few lines are split in
// parts so that enough threads work, then folded again. Four accumulators shorten the chain of additions, which
// also keeps the rounding error near that of pairwise summation. Where an element is NaN the result is NaN.
const OP = 0u;

struct Params { count: u32, n: u32, inner: u32, parts: u32, chunk: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn join(a: vec4f, b: vec4f) -> vec4f {
  switch OP {
    case 0u: { return a + b; }
    case 1u: { return orNan(max(a, b), a, b); }
    case 2u: { return orNan(min(a, b), a, b); }
    default: { return orNan(max(a, abs(b)), a, b); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let i = t % p.inner;
  let s = (t / p.inner) % p.parts;
  let o = t / (p.inner * p.parts);
  let first = s * p.chunk;
  let last = min(first + p.chunk, p.n);
  var at = (o * p.n + first) * p.inner + i;
  // What changes no result: 0, or an element of the line, where the part is empty any one.
  var joined = vec4f(0.0);
  if (OP == 1u || OP == 2u) { joined = vec4f(x[(o * p.n + min(first, p.n - 1u)) * p.inner + i]); }
  var k = first;
  for (; k + 4u <= last; k += 4u) {
    joined = join(joined, vec4f(x[at], x[at + p.inner], x[at + 2u * p.inner], x[at + 3u * p.inner]));
    at += 4u * p.inner;
  }
  for (; k < last; k++) {
    joined.x = join(joined, vec4f(x[at])).x;
    at += p.inner;
  }
  let halves = join(vec4f(joined.xz, 0.0, 0.0), vec4f(joined.yw, 0.0, 0.0));
  y[t] = join(halves, halves.yyyy).x * p.scale;
}
