// f(u, v) of binary.wgsl and broadcast.wgsl, whose expression a variant gives, and what expressions are made of.

// u^v by IEEE 754: the sign of a negative u stays where v is odd, and only a whole v has a power of a negative u.
fn power(u: vec4f, v: vec4f) -> vec4f {
  let zero = select(vec4f(0.0), vec4f(infinity()), v < vec4f(0.0));
  let magnitude = select(pow(abs(u), v), zero, u == vec4f(0.0));
  let isWhole = v == floor(v);
  let isOdd = isWhole & (floor(v * 0.5) * 2.0 != v);
  let negative = select(vec4f(nan()), select(magnitude, -magnitude, isOdd), isWhole);
  return select(select(magnitude, negative, u < vec4f(0.0)), vec4f(1.0), v == vec4f(0.0));
}

fn f(u: vec4f, v: vec4f) -> vec4f { return u + v; }
