// Convolution weights in the order in which the tiled kernels read them: w [O, C/groups, KH, KW] ->
// y [C/groups, KH*KW, groups * vectors] of vec4 over a group's output channels, zeros beyond them. With ADJOINT = 1 the
// weights of the adjoint convolution (input and output channels exchanged, kernel turned by 180 degrees):
// y [O/groups, KH*KW, groups * vectors], zeros beyond C/groups.
// Threads: one a vec4; reads four weights, writes one vec4.
const ADJOINT = 0u;

struct Params { count: u32, groups: u32, groupOut: u32, groupIn: u32, taps: u32, vectors: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let first = t % p.vectors * 4u;
  let group = t / p.vectors % p.groups;
  let tap = t / (p.vectors * p.groups) % p.taps;
  let slow = t / (p.vectors * p.groups * p.taps);
  var v = vec4f(0.0);
  for (var k = 0u; k < 4u; k++) { // unroll
    if (ADJOINT == 0u) {
      if (first + k < p.groupOut) {
        v[k] = w[((group * p.groupOut + first + k) * p.groupIn + slow) * p.taps + tap];
      }
    } else if (first + k < p.groupIn) {
      v[k] = w[((group * p.groupOut + slow) * p.groupIn + first + k) * p.taps + p.taps - 1u - tap];
    }
  }
  y[t] = v;
}
