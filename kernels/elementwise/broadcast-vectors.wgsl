// broadcast.wgsl where the innermost dimension is whole vec4: along it an operand runs on, or is one element (A_ONE,
// B_ONE). Sizes of that dimension are in vec4; so are strides, but for an operand that is one element along it.
// Threads as in binary.wgsl: 4 vec4 a thread.
const RANK = 2u;
const A_ONE = 0u;
const B_ONE = 0u;
const PER_THREAD = 4u;

// dims[d] = (size, stride of a, stride of b, 0), outermost first; stride 0 where an operand is repeated.
struct Params { count: u32, dims: array<vec4u, 8> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = groupIndex(group) * WORKGROUP * PER_THREAD + lane;
  // The loop ends with the data, for the reason given in binary.wgsl.
  for (var i = first; i < min(first + WORKGROUP * PER_THREAD, p.count); i += WORKGROUP) {
    var rest = i;
    var ia = 0u;
    var ib = 0u;
    for (var k = 0u; k < RANK; k++) { // unroll
      let dim = p.dims[RANK - 1u - k];
      // The remainder is the coordinate along the outermost dimension.
      let next = select(rest / dim.x, 0u, k + 1u == RANK);
      let coordinate = rest - next * dim.x;
      rest = next;
      ia += coordinate * dim.y;
      ib += coordinate * dim.z;
    }
    var u: vec4f;
    var v: vec4f;
    if (A_ONE == 1u) { u = vec4f(a[ia / 4u][ia % 4u]); } else { u = a[ia]; }
    if (B_ONE == 1u) { v = vec4f(b[ib / 4u][ib % 4u]); } else { v = b[ib]; }
    y[i] = f(u, v);
  }
}
