// f(u, v) of binary.wgsl and broadcast.wgsl, chosen by OP (the order of `binaryFunctions`). The larger or smaller of two
// of which one is NaN is NaN.
const OP = 0u;

// u^v by IEEE 754: the sign of a negative u stays where v is odd, and only a whole v has a power of a negative u.
fn power(u: vec4f, v: vec4f) -> vec4f {
  let zero = select(vec4f(0.0), vec4f(infinity()), v < vec4f(0.0));
  let magnitude = select(pow(abs(u), v), zero, u == vec4f(0.0));
  let isWhole = v == floor(v);
  let isOdd = isWhole & (floor(v * 0.5) * 2.0 != v);
  let negative = select(vec4f(nan()), select(magnitude, -magnitude, isOdd), isWhole);
  return select(select(magnitude, negative, u < vec4f(0.0)), vec4f(1.0), v == vec4f(0.0));
}

fn f(u: vec4f, v: vec4f) -> vec4f {
  switch OP {
    case 0u: { return u + v; }
    case 1u: { return u - v; }
    case 2u: { return u * v; }
    case 3u: { return u / v; }
    case 4u: { return orNan(max(u, v), u, v); }
    case 5u: { return orNan(min(u, v), u, v); }
    case 6u: { return orNan(power(u, v), u, v); }
    case 7u: { return select(vec4f(0.0), vec4f(1.0), u > v); }
    case 8u: { return select(vec4f(0.0), vec4f(1.0), u >= v); }
    case 9u: { return select(vec4f(0.0), vec4f(1.0), u == v); }
    case 10u: { return orNan(max(u + v, vec4f(0.0)), u, v); }
    // The derivative of ReLU, from its argument or its value.
    case 11u: { return orNan(select(vec4f(0.0), u, v > vec4f(0.0)), u, v); }
    default: { return u; }
  }
}
