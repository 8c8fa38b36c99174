// Convolution weights in the order in which the fast kernels read them: w [O, C, KH, KW] -> y [C, KH*KW, O/4] of
// vec4 over output channels, zeros beyond O. With ADJOINT = 1 the weights of the adjoint convolution (input and
// output channels exchanged, kernel turned by 180 degrees): y [O, KH*KW, C/4], zeros beyond C.
// Threads: one a vec4; reads four weights, writes one vec4.
const ADJOINT = 0u;

struct Params { count: u32, outChannels: u32, inChannels: u32, taps: u32, vectors: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  let first = t % p.vectors * 4u;
  let tap = t / p.vectors % p.taps;
  let slow = t / (p.vectors * p.taps);
  var v = vec4f(0.0);
  for (var k = 0u; k < 4u; k++) { // unroll
    if (ADJOINT == 0u) {
      if (first + k < p.outChannels) { v[k] = w[((first + k) * p.inChannels + slow) * p.taps + tap]; }
    } else {
      if (first + k < p.inChannels) {
        v[k] = w[(slow * p.inChannels + first + k) * p.taps + p.taps - 1u - tap];
      }
    }
  }
  y[t] = v;
}
