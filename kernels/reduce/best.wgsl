// Among several choices of an element the best: x [outer, n, inner], choices [parts, outer, m, inner] -> indices
// [outer, m, inner], that of choices[s, o, j, i] whose element x[o, choice, i] is the largest (the smallest with
// SIGN_NEGATIVE), the lowest index where several are equal, and the lowest of a NaN where there is one. A part that had
// nothing to choose from says NONE; not all of them do.
// Threads: one an output element; each reads its choices and their elements, writes one index.
const SIGN_NEGATIVE = 0u;
const NONE = 4294967295u;

struct Params { count: u32, n: u32, inner: u32, m: u32, parts: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> choices: array<u32>;
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let start = t / (p.m * p.inner) * p.n * p.inner + t % p.inner;
  let direction = select(1.0, -1.0, SIGN_NEGATIVE == 1u);
  var index = NONE;
  var best = 0.0;
  for (var part = 0u; part < p.parts; part++) {
    let choice = choices[part * p.count + t];
    if (choice == NONE) { continue; }
    let value = x[start + choice * p.inner] * direction;
    let isBetter = !isNan(best) && (isNan(value) || value > best);
    let isEqual = (isNan(best) && isNan(value)) || value == best;
    if (index == NONE || isBetter || (isEqual && choice < index)) {
      best = value;
      index = choice;
    }
  }
  indices[t] = index;
}
