// Elementwise function of one tensor: y[i] = f(x[i]), any shape, f chosen by OP (the order of `unaryFunctions`).
// Threads: a workgroup covers 1,024 consecutive elements; each thread takes 4 vec4 at a stride of 64, because a
// workgroup costs more than the arithmetic. Reads and writes each element once. The last vec4 may run past the
// tensor's end: storage is a multiple of 16 bytes. Of NaN every function is NaN,
// but for the one that asks.
const OP = 0u;
const NOT_FINITE = 19u;
const PER_THREAD = 4u;

struct Params { vectors: u32, a: f32, b: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// Abramowitz and Stegun 7.1.26 is good to 1.5e-7 only; this is the power series below |v| = 1.5 (11 terms leave
// 1e-9) and the continued fraction of erfc beyond.
fn erf(v: vec4f) -> vec4f {
  let s = v * v;
  var term = v;
  var series = v;
  for (var n = 1; n < 18; n++) {
    term *= -s / f32(n);
    series += term / f32(2 * n + 1);
  }
  let t = clamp(abs(v), vec4f(1.0), vec4f(6.0));
  var fraction = vec4f(0.0);
  for (var n = 24; n > 0; n--) {
    fraction = (f32(n) * 0.5) / (t + fraction);
  }
  let tail = 1.0 - exp(-t * t) / ((t + fraction) * 1.7724538509055159);
  return select(sign(v) * tail, series * 1.1283791670955126, abs(v) < vec4f(1.5));
}

// From log(0) on drivers differ.
fn logarithm(v: vec4f) -> vec4f {
  let lowest = select(vec4f(-infinity()), vec4f(nan()), v < vec4f(0.0));
  return select(select(log(v), v, v == vec4f(infinity())), lowest, v <= vec4f(0.0));
}

// v^a for one a, of which b says whether it is even (0), odd (1) or not whole (2). WGSL's pow is for v > 0 alone.
fn power(v: vec4f, a: f32, b: f32) -> vec4f {
  let zero = vec4f(select(0.0, infinity(), a < 0.0));
  let magnitude = select(pow(abs(v), vec4f(a)), zero, v == vec4f(0.0));
  let negative = select(select(magnitude, -magnitude, b == 1.0), vec4f(nan()), b == 2.0);
  return select(select(magnitude, negative, v < vec4f(0.0)), vec4f(1.0), a == 0.0);
}

fn f(v: vec4f) -> vec4f {
  switch OP {
    case 0u: { return -v; }
    case 1u: { return exp(v); }
    case 2u: { return logarithm(v); }
    case 3u: { return sqrt(v); }
    case 4u: { return abs(v); }
    // tanh overflows inside some drivers beyond about 44; it is 1 to f32 precision from 9 on.
    case 5u: { return tanh(clamp(v, vec4f(-15.0), vec4f(15.0))); }
    case 6u: { return 1.0 / (1.0 + exp(-clamp(v, vec4f(-88.0), vec4f(88.0)))); }
    case 7u: { return max(v, vec4f(0.0)); }
    case 8u: { return select(vec4f(0.0), vec4f(1.0), v > vec4f(0.0)); }
    case 9u: { return sign(v); }
    case 10u: { return 1.0 / v; }
    case 11u: { return erf(v); }
    case 12u: { return p.a * v + p.b; }
    case 13u: { return min(max(v, vec4f(p.a)), vec4f(p.b)); }
    // 1 strictly inside (a, b), the derivative of clamp.
    case 14u: { return select(vec4f(0.0), vec4f(1.0), (v > vec4f(p.a)) & (v < vec4f(p.b))); }
    case 15u: { return power(v, p.a, p.b); }
    case 16u: { return select(p.a * v, v, v > vec4f(0.0)); }
    // 1 where positive, else a: the derivative of leaky ReLU.
    case 17u: { return select(vec4f(p.a), vec4f(1.0), v > vec4f(0.0)); }
    // log(1 + exp(v)) with the larger of the two taken out, so that exp cannot overflow.
    case 18u: { return max(v, vec4f(0.0)) + log(1.0 + exp(-abs(v))); }
    case NOT_FINITE: { return select(vec4f(1.0), vec4f(0.0), isFinite4(v)); }
    default: { return v; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.x + group.y * 65535u) * 64u * PER_THREAD + lane;
  for (var k = 0u; k < PER_THREAD; k++) {
    let i = first + k * 64u;
    if (i < p.vectors) {
      let v = x[i];
      y[i] = select(f(v), v, isNan4(v) & vec4<bool>(OP != NOT_FINITE));
    }
  }
}
