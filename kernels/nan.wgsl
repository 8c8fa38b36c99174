// NaN and infinity by their bits. WGSL lets a driver compute as if neither existed, and drivers do: a comparison with
// NaN may come out either way, max(NaN, x) is mostly x, and log(0) need not be infinite. Integers are exact everywhere.

fn isNan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

fn isNan4(v: vec4f) -> vec4<bool> { return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u); }

fn isFinite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }

fn isFinite4(v: vec4f) -> vec4<bool> { return (bitcast<vec4u>(v) & vec4u(0x7f800000u)) != vec4u(0x7f800000u); }

// A number brought into [low, high], as activations do to sums on their way out; NaN stays.
fn clampOrNan(v: f32, low: f32, high: f32) -> f32 { return select(clamp(v, low, high), v, isNan(v)); }

fn clampOrNan4(v: vec4f, low: f32, high: f32) -> vec4f {
  return select(clamp(v, vec4f(low), vec4f(high)), v, isNan4(v));
}

// y, and NaN where u or v is.
fn orNan(y: vec4f, u: vec4f, v: vec4f) -> vec4f {
  return select(select(y, v, isNan4(v)), u, isNan4(u));
}

// Made at run time: an expression that the compiler can evaluate must not be NaN.
fn float(bits: u32) -> f32 {
  var kept = bits;
  return bitcast<f32>(kept);
}

fn nan() -> f32 { return float(0x7fc00000u); }

fn infinity() -> f32 { return float(0x7f800000u); }
