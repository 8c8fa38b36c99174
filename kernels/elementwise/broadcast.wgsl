// Elementwise function of two tensors broadcast against each other, RANK dimensions after neighbours that
// broadcast alike were merged: y[i] = f(a[ia], b[ib]), f as in binary-functions.wgsl.
// Threads: one an output element. Reads one element of each operand, writes one.
const RANK = 3u;

// dims[d] = (size, stride of a, stride of b, 0), outermost first; stride 0 where an operand is repeated.
struct Params { count: u32, dims: array<vec4u, 8> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = threadIndex(g);
  if (i >= p.count) { return; }
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
  y[i] = f(vec4f(a[ia]), vec4f(b[ib])).x;
}
