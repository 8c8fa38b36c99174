// Weights of a 3x3 convolution for Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): w [O, C, 3, 3] ->
// u [36, C, width], u = G w G^T for each pair of channels, zeros in columns from O on. With ADJOINT = 1 for the adjoint
// convolution (input and output channels exchanged, kernel turned by 180 degrees): u [36, O, width].
// Threads: one a pair of channels; reads 9 weights, writes 36 numbers.
const ADJOINT = 0u;

struct Params { count: u32, outChannels: u32, inChannels: u32, width: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> u: array<f32>;

// G v
fn transform(v: vec3f) -> array<f32, 6> {
  let even = (v.x + v.z) / 6.0;
  let quarter = v.x / 24.0 + v.z / 6.0;
  return array<f32, 6>(
    v.x / 4.0, -even - v.y / 6.0, -even + v.y / 6.0, quarter + v.y / 12.0, quarter - v.y / 12.0, v.z,
  );
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let to = t % p.width;
  let source = t / p.width;
  let o = select(to, source, ADJOINT == 1u);
  let c = select(source, to, ADJOINT == 1u);
  var taps: array<f32, 9>;
  for (var k = 0u; k < 9u; k++) { // unroll
    if (o < p.outChannels && c < p.inChannels) {
      taps[k] = w[(o * p.inChannels + c) * 9u + select(k, 8u - k, ADJOINT == 1u)];
    }
  }
  var half: array<f32, 18>;
  for (var j = 0u; j < 3u; j++) { // unroll
    let e = transform(vec3f(taps[j], taps[3u + j], taps[6u + j]));
    for (var i = 0u; i < 6u; i++) { // unroll
      half[3u * i + j] = e[i];
    }
  }
  // A row at a time, the others moving up, as in winograd-input.wgsl.
  for (var at = t; at < t + 36u * p.count; at += 6u * p.count) {
    let e = transform(vec3f(half[0], half[1], half[2]));
    for (var j = 0u; j < 6u; j++) { // unroll
      u[at + j * p.count] = e[j];
    }
    for (var q = 0u; q < 15u; q++) { // unroll
      half[q] = half[q + 3u];
    }
  }
}
