// argmax.wgsl along the last axis, for GPUs: x [lines, n] -> indices [parts, lines].
// Threads: a workgroup a part of a line; neighbours read neighbours, and pairs of them choose between what both found.
const SIGN_NEGATIVE = 0u;

struct Params { count: u32, n: u32, lines: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;

// Whether v at k comes before u at i: larger, or equal and earlier; a NaN before all numbers.
fn isBefore(v: f32, k: u32, u: f32, i: u32) -> bool {
  if (isNan(v) || isNan(u)) { return isNan(v) && (!isNan(u) || k < i); }
  return v > u || (v == u && k < i);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = groupIndex(group);
  if (t >= p.count) { return; }
  let start = t % p.lines * p.n;
  let first = t / p.lines * p.chunk;
  let direction = select(1.0, -1.0, SIGN_NEGATIVE == 1u);
  values[lane] = x[start + first] * direction;
  places[lane] = first;
  for (var k = first + lane; k < min(first + p.chunk, p.n); k += WORKGROUP) {
    let value = x[start + k] * direction;
    if (isBefore(value, k, values[lane], places[lane])) {
      values[lane] = value;
      places[lane] = k;
    }
  }
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half && isBefore(values[lane + half], places[lane + half], values[lane], places[lane])) {
      values[lane] = values[lane + half];
      places[lane] = places[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) { indices[t] = places[0]; }
}
