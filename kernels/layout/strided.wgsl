// Copy through an index map, RANK dimensions: transpose, slice with any step, zero or constant padding, inserting
// zeros between elements (the adjoint of a stepped slice), repetition along an axis and all their compositions.
// In each dimension the input coordinate of output coordinate o is (o * mul + add) / div where that divides
// exactly and lies inside the input; elsewhere the output is `fill`. With SCALED = 1 what is copied are f32 numbers, each
// multiplied by `scale`.
// Threads: one an output element, or four neighbours (see vectors.wgsl); reads them at most once, writes them. Works on
// bits, so on any 4-byte type.
// PLAIN = 1 leaves the division and the bounds out, for maps that need neither (transposition, repetition).
const RANK = 4u;
const PLAIN = 0u;
const SCALED = 0u;

// Per dimension, outermost first, two vectors: (output size, input size, input stride, 0) and (mul, add, div, 0).
struct Params { count: u32, fill: f32, scale: f32, dims: array<vec4i, 16> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Copied>;
@group(0) @binding(2) var<storage, read_write> y: array<Copied>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = threadIndex(g);
  if (i >= p.count) { return; }
  var rest = i;
  var at = 0;
  var inside = true;
  for (var k = 0u; k < RANK; k++) { // unroll
    let geometry = p.dims[2u * (RANK - 1u - k)];
    let map = p.dims[2u * (RANK - 1u - k) + 1u];
    let size = u32(geometry.x);
    // The remainder is the coordinate along the outermost dimension.
    let next = select(rest / size, 0u, k + 1u == RANK);
    let numerator = i32(rest - next * size) * map.x + map.y;
    rest = next;
    if (PLAIN == 1u) {
      at += numerator * geometry.z;
    } else {
      let coordinate = numerator / map.z;
      inside = inside && numerator >= 0 && coordinate * map.z == numerator && coordinate < geometry.y;
      at += coordinate * geometry.z;
    }
  }
  var value = Copied(bitcast<u32>(p.fill));
  if (inside) { value = x[at]; }
  if (SCALED == 1u) { value = bitcast<Copied>(bitcast<Numbers>(value) * p.scale); }
  y[i] = value;
}
