// Elementwise function of one tensor: y[i] = f(x[i]), any shape. A variant gives the expressions of f, of `isUndefined`,
// where f is NaN, and of `ofNan`, which f is of NaN: with most functions NaN.
// Threads: a workgroup covers 1,024 consecutive elements; each thread takes 4 vec4 at a stride of 64, because a
// workgroup costs more than the arithmetic. Reads and writes each element once. The last vec4 may run past the
// tensor's end: storage is a multiple of 16 bytes.
const PER_THREAD = 4u;

struct Params { vectors: u32, a: f32, b: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// An odd rational function, fitted for the least relative error up to 3.9, where erf is 1 in f32; the error is below
// 4e-7 (Abramowitz and Stegun 7.1.26 loses all digits near 0).
fn erf(v: vec4f) -> vec4f {
  let t = clamp(v, vec4f(-3.9), vec4f(3.9));
  let s = t * t;
  var top = fma(s, vec4f(2.1546819e-6), vec4f(2.8062743e-4));
  top = fma(s, top, vec4f(3.4299637e-3));
  top = fma(s, top, vec4f(5.1710509e-2));
  top = fma(s, top, vec4f(1.8215109e-1));
  top = fma(s, top, vec4f(1.1283791));
  var bottom = fma(s, vec4f(3.8957027e-5), vec4f(1.0875782e-3));
  bottom = fma(s, bottom, vec4f(1.4289320e-2));
  bottom = fma(s, bottom, vec4f(1.1074705e-1));
  bottom = fma(s, bottom, vec4f(4.9476054e-1));
  bottom = fma(s, bottom, vec4f(1.0));
  return clamp(t * top / bottom, vec4f(-1.0), vec4f(1.0));
}

fn sigmoid(v: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-clamp(v, vec4f(-88.0), vec4f(88.0))));
}

// Of 0 and infinity drivers differ.
fn logarithm(v: vec4f) -> vec4f {
  return select(select(log(v), v, v == vec4f(infinity())), vec4f(-infinity()), v == vec4f(0.0));
}

// Some drivers' tanh overflows beyond about 44; it is 1 to f32 precision from 9 on.
fn tangent(v: vec4f) -> vec4f { return tanh(clamp(v, vec4f(-15.0), vec4f(15.0))); }

// log(1 + exp(v)) with the larger of the two taken out, so that exp cannot overflow.
fn softplus(v: vec4f) -> vec4f { return max(v, vec4f(0.0)) + log(1.0 + exp(-abs(v))); }

// v^a for one a, of which b says whether it is even (0), odd (1) or not whole (2). WGSL's pow is for v > 0 alone.
fn power(v: vec4f, a: f32, b: f32) -> vec4f {
  let zero = vec4f(select(0.0, infinity(), a < 0.0));
  let magnitude = select(pow(abs(v), vec4f(a)), zero, v == vec4f(0.0));
  let negative = select(select(magnitude, -magnitude, b == 1.0), vec4f(nan()), b == 2.0);
  return select(select(magnitude, negative, v < vec4f(0.0)), vec4f(1.0), a == 0.0);
}

fn f(v: vec4f) -> vec4f { return v; }

fn isUndefined(v: vec4f) -> vec4<bool> { return vec4<bool>(false); }

fn ofNan(v: vec4f) -> vec4f { return v; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = groupIndex(group) * WORKGROUP * PER_THREAD + lane;
  for (var k = 0u; k < PER_THREAD; k++) {
    let i = first + k * WORKGROUP;
    if (i < p.vectors) {
      let v = x[i];
      y[i] = select(select(f(v), vec4f(nan()), isUndefined(v)), ofNan(v), isNan4(v));
    }
  }
}
