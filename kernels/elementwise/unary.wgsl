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

// exp(v) for v <= 0 to a few units of the last place, where WGSL allows drivers one for each unit of v: v = n log(2) + r,
// and of the two steps that take n log(2) away the first is exact (Cody and Waite 1980). Below the normal numbers it is 0.
fn decay(v: vec4f) -> vec4f {
  let n = round(max(v, vec4f(-87.3)) * 1.4426950);
  let r = (v - n * 0.693359375) + n * 2.1219444e-4;
  let power = bitcast<vec4f>((vec4i(n) + 127) << vec4u(23u));
  return select(exp(r) * power, vec4f(0.0), v < vec4f(-87.3));
}

// 1 / (1 + exp(-v)), where exp(-|v|) cannot overflow and its digits are kept on the left too.
fn sigmoid(v: vec4f) -> vec4f {
  let e = decay(-abs(v));
  return select(vec4f(1.0), e, v < vec4f(0.0)) / (1.0 + e);
}

// The derivative of sigmoid, sigmoid(v) sigmoid(-v).
fn sigmoidSlope(v: vec4f) -> vec4f {
  let e = decay(-abs(v));
  return e / ((1.0 + e) * (1.0 + e));
}

// exp(-v^2 / 2); the square is halved into that of 12 digits, which is exact, and a small rest, for which a series will do.
fn gaussian(v: vec4f) -> vec4f {
  let a = min(abs(v), vec4f(15.0));
  let high = bitcast<vec4f>(bitcast<vec4u>(a) & vec4u(0xfffff000u));
  let rest = -0.5 * (a - high) * (a + high);
  return decay(-0.5 * high * high) * (1.0 + rest * (1.0 + rest / 2.0 * (1.0 + rest / 3.0 * (1.0 + rest / 4.0))));
}

// The normal distribution's Phi(v). On the left it is exp(-v^2 / 2) times a polynomial in 1 / (1 - v / 3), which was fitted
// for the least relative error down to -16 (2e-8): 1 + erf would lose all digits there.
fn normal(v: vec4f) -> vec4f {
  let t = 3.0 / (3.0 + min(abs(v), vec4f(15.0)));
  var sum = fma(t, vec4f(-0.0264946602), vec4f(0.148294194));
  sum = fma(t, sum, vec4f(-0.311512438));
  sum = fma(t, sum, vec4f(0.267585659));
  sum = fma(t, sum, vec4f(-0.0896534835));
  sum = fma(t, sum, vec4f(0.137194772));
  sum = fma(t, sum, vec4f(0.107178231));
  sum = fma(t, sum, vec4f(0.134549046));
  sum = fma(t, sum, vec4f(0.132854286));
  sum = fma(t, sum, vec4f(4.3997728e-6));
  let tail = gaussian(v) * sum;
  return select(1.0 - tail, tail, v < vec4f(0.0));
}

// Drivers differ in what this gives for 0 and for infinity.
fn logarithm(v: vec4f) -> vec4f {
  return select(select(log(v), v, v == vec4f(infinity())), vec4f(-infinity()), v == vec4f(0.0));
}

// Near 0 by a polynomial (Moshier's Cephes), since there both exponentials are almost 1.
fn tangent(v: vec4f) -> vec4f {
  let s = v * v;
  var sum = fma(s, vec4f(-5.70498872745e-3), vec4f(2.06390887954e-2));
  sum = fma(s, sum, vec4f(-5.37397155531e-2));
  sum = fma(s, sum, vec4f(1.33314422036e-1));
  sum = fma(s, sum, vec4f(-3.33332819422e-1));
  let e = decay(-2.0 * abs(v));
  return select(sign(v) * ((1.0 - e) / (1.0 + e)), fma(v * s, sum, v), abs(v) < vec4f(0.625));
}

// log(1 + exp(v)) with the larger of the two taken out, so that exp cannot overflow; what is left is log(1 + e) =
// 2 artanh(e / (2 + e)) by its series, which loses no digits of a small e.
fn softplus(v: vec4f) -> vec4f {
  let e = decay(-abs(v));
  let z = e / (2.0 + e);
  let s = z * z;
  var sum = fma(s, vec4f(1.0 / 13.0), vec4f(1.0 / 11.0));
  sum = fma(s, sum, vec4f(1.0 / 9.0));
  sum = fma(s, sum, vec4f(1.0 / 7.0));
  sum = fma(s, sum, vec4f(1.0 / 5.0));
  sum = fma(s, sum, vec4f(1.0 / 3.0));
  sum = fma(s, sum, vec4f(1.0));
  return max(v, vec4f(0.0)) + 2.0 * z * sum;
}

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
