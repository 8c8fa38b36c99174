// Elementwise function of two tensors of one shape, or of a tensor and a single element (A_ONE, B_ONE):
// y[i] = f(a[i], b[i]), f as in binary-functions.wgsl.
// Threads as in unary.wgsl: 4 vec4 a thread. Reads each operand once, writes each element once.
const A_ONE = 0u;
const B_ONE = 0u;
const PER_THREAD = 4u;

struct Params { vectors: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = groupIndex(group) * WORKGROUP * PER_THREAD + lane;
  // The loop ends with the data rather than after PER_THREAD rounds: drivers unroll a loop whose count is a constant, and
  // compiling then takes four times as long.
  for (var i = first; i < min(first + WORKGROUP * PER_THREAD, p.vectors); i += WORKGROUP) {
    var u = a[select(i, 0u, A_ONE == 1u)];
    var v = b[select(i, 0u, B_ONE == 1u)];
    if (A_ONE == 1u) { u = u.xxxx; }
    if (B_ONE == 1u) { v = v.xxxx; }
    y[i] = f(u, v);
  }
}
