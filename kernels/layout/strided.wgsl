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

// Per dimension: geometry (output size, input size, input stride, 0) and map (mul, add, div, 0).
struct Dim { geometry: vec4i, map: vec4i }
struct Params { count: u32, fill: u32, scale: f32, dims: array<Dim, 8> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Copied>;
@group(0) @binding(2) var<storage, read_write> y: array<Copied>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = g.x + g.y * 4194240u;
  if (i >= p.count) { return; }
  var rest = i;
  var at = 0;
  var inside = true;
  for (var k = 0u; k < RANK; k++) { // unroll
    let dim = p.dims[RANK - 1u - k];
    let size = u32(dim.geometry.x);
    // What is left for the outermost dimension is its coordinate.
    let next = select(rest / size, 0u, k + 1u == RANK);
    let numerator = i32(rest - next * size) * dim.map.x + dim.map.y;
    rest = next;
    if (PLAIN == 1u) {
      at += numerator * dim.geometry.z;
    } else {
      let coordinate = numerator / dim.map.z;
      inside = inside && numerator >= 0 && coordinate * dim.map.z == numerator && coordinate < dim.geometry.y;
      at += coordinate * dim.geometry.z;
    }
  }
  var value = Copied(p.fill);
  if (inside) { value = x[at]; }
  if (SCALED == 1u) { value = bitcast<Copied>(bitcast<Numbers>(value) * p.scale); }
  y[i] = value;
}
