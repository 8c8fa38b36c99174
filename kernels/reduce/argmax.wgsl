// Index of the largest element along the middle axis (of the smallest with SIGN_NEGATIVE), in parts: x [outer, n, inner] ->
// indices [parts, outer, inner] over k in [s * chunk, (s + 1) * chunk); the first one where several are equal, and the first
// NaN where there is one. best.wgsl then chooses among the parts.
// Threads: one an output element; each reads its chunk, writes one index.
const SIGN_NEGATIVE = 0u;

struct Params { count: u32, n: u32, inner: u32, lines: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let line = t % p.lines;
  let start = line / p.inner * p.n * p.inner + line % p.inner;
  let first = t / p.lines * p.chunk;
  let direction = select(1.0, -1.0, SIGN_NEGATIVE == 1u);
  var best = x[start + first * p.inner] * direction;
  var index = first;
  for (var k = first + 1u; k < min(first + p.chunk, p.n) && !isNan(best); k++) {
    let value = x[start + k * p.inner] * direction;
    if (value > best || isNan(value)) {
      best = value;
      index = k;
    }
  }
  indices[t] = index;
}
