// A factor of a matrix product in the order in which matmul-tiled.wgsl reads it: x, with any strides, ->
// y [batch, rows, vectors] of vec4 along a row, zeros from `columns` on. Strides in elements.
// Threads: one a vec4; reads up to four elements, writes one vec4.
struct Params {
  count: u32, rows: u32, vectors: u32, columns: u32, batchStride: u32, rowStride: u32, columnStride: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let column = t % p.vectors * 4u;
  let line = t / p.vectors;
  let start = line / p.rows * p.batchStride + line % p.rows * p.rowStride + column * p.columnStride;
  var v = vec4f(0.0);
  for (var k = 0u; k < 4u; k++) { // unroll
    if (column + k < p.columns) { v[k] = x[start + k * p.columnStride]; }
  }
  y[t] = v;
}
