// Batched matrix product, register-tiled: y [batch, M, N] from a transposed and padded to whole vec4 of rows
// [batch, K, aVectors] and b [batch, K, bVectors] of vec4 along a row. A batch stride of 0 shares a factor.
// Threads: one a tile of 8 rows x 4 * COLUMN_VECTORS columns, in a flat index. Per k a thread reads 2 + COLUMN_VECTORS
// vec4 for 32 * COLUMN_VECTORS multiply-adds; all sums stay in registers. Tiles at the edge read past their row, never
// past the buffer's meaning: what they compute there is not written.
const COLUMN_VECTORS = 4u;
const SUMS = 32u; // 8 * COLUMN_VECTORS

struct Params {
  count: u32, m: u32, n: u32, k: u32, aVectors: u32, bVectors: u32, aBatch: u32, bBatch: u32, tilesM: u32, tilesN: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  let column = t % p.tilesN * COLUMN_VECTORS;
  let row = t / p.tilesN % p.tilesM * 8u;
  let batch = t / (p.tilesN * p.tilesM);

  var sums: array<vec4f, SUMS>;
  var ia = batch * p.aBatch + row / 4u;
  var ib = batch * p.bBatch + column;
  for (var k = 0u; k < p.k; k++) {
    let low = a[ia];
    let high = a[ia + 1u];
    for (var j = 0u; j < COLUMN_VECTORS; j++) { // unroll
      let v = b[ib + j];
      for (var i = 0u; i < 4u; i++) { // unroll
        sums[i * COLUMN_VECTORS + j] = fma(vec4f(low[i]), v, sums[i * COLUMN_VECTORS + j]);
        sums[(i + 4u) * COLUMN_VECTORS + j] = fma(vec4f(high[i]), v, sums[(i + 4u) * COLUMN_VECTORS + j]);
      }
    }
    ia += p.aVectors;
    ib += p.bVectors;
  }

  for (var i = 0u; i < 8u; i++) { // unroll
    if (row + i < p.m) {
      let start = (batch * p.m + row + i) * p.n + column * 4u;
      for (var j = 0u; j < COLUMN_VECTORS; j++) { // unroll
        for (var q = 0u; q < 4u; q++) { // unroll
          if (column * 4u + 4u * j + q < p.n) { y[start + 4u * j + q] = sums[i * COLUMN_VECTORS + j][q]; }
        }
      }
    }
  }
}
