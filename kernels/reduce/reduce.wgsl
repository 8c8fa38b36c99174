// Reduction along the middle axis, in parts: x [outer, n, inner] -> y [parts, outer, inner], where y[s, o, i] is `scale` times
// the sum, the largest, the smallest or the largest magnitude (OP, in the order of `reductions`) of x[o, k, i] over k in
// [s * chunk, (s + 1) * chunk).
// Threads: one an output element; each reads its chunk, writes one number. Reductions over few lines are split in parts so that
// enough threads work, long ones so that none works for too long; the parts are then reduced again. Four accumulators take
// blocks of 256 elements, which are joined in turn, so that the rounding error is near that of pairwise summation. Where an
// element is NaN the result is NaN.
const OP = 0u;
const BLOCK = 256u;

struct Params { count: u32, n: u32, inner: u32, lines: u32, chunk: u32, scale: f32 }
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
  let line = t % p.lines;
  let start = line / p.inner * p.n * p.inner + line % p.inner;
  let first = t / p.lines * p.chunk;
  let last = min(first + p.chunk, p.n);
  // Where the accumulators begin: a sum at 0, a maximum or a minimum at any element of the line.
  var nothing = vec4f(0.0);
  if (OP == 1u || OP == 2u) { nothing = vec4f(x[start + min(first, p.n - 1u) * p.inner]); }
  var total = nothing;
  var at = start + first * p.inner;
  var k = first;
  while (k + 4u <= last) {
    var joined = nothing;
    for (let end = min(k + BLOCK, last); k + 4u <= end; k += 4u) {
      joined = join(joined, vec4f(x[at], x[at + p.inner], x[at + 2u * p.inner], x[at + 3u * p.inner]));
      at += 4u * p.inner;
    }
    total = join(total, joined);
  }
  for (; k < last; k++) {
    total.x = join(total, vec4f(x[at])).x;
    at += p.inner;
  }
  let halves = join(vec4f(total.xz, 0.0, 0.0), vec4f(total.yw, 0.0, 0.0));
  y[t] = join(halves, halves.yyyy).x * p.scale;
}
