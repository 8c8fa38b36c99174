// Elementwise function of two tensors of one shape, or of a tensor and a single element (A_ONE, B_ONE):
// y[i] = f(a[i], b[i]), f chosen by OP (the order of `binaryFunctions`).
// Threads as in unary.wgsl: 4 vec4 a thread. Reads each operand once, writes each element once.
const OP = 0u;
const A_ONE = 0u;
const B_ONE = 0u;
const PER_THREAD = 4u;

struct Params { vectors: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn f(u: vec4f, v: vec4f) -> vec4f {
  switch OP {
    case 0u: { return u + v; }
    case 1u: { return u - v; }
    case 2u: { return u * v; }
    case 3u: { return u / v; }
    case 4u: { return max(u, v); }
    case 5u: { return min(u, v); }
    case 6u: { return pow(u, v); }
    case 7u: { return select(vec4f(0.0), vec4f(1.0), u > v); }
    case 8u: { return select(vec4f(0.0), vec4f(1.0), u >= v); }
    case 9u: { return select(vec4f(0.0), vec4f(1.0), u == v); }
    default: { return u; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.x + group.y * 65535u) * 64u * PER_THREAD + lane;
  // Up to the end of what there is, not PER_THREAD times: drivers write a known count out, and compile four times as much.
  for (var i = first; i < min(first + 64u * PER_THREAD, p.vectors); i += 64u) {
    var u = a[select(i, 0u, A_ONE == 1u)];
    var v = b[select(i, 0u, B_ONE == 1u)];
    if (A_ONE == 1u) { u = u.xxxx; }
    if (B_ONE == 1u) { v = v.xxxx; }
    y[i] = f(u, v);
  }
}
