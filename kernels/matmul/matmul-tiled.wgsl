// Batched matrix product, register-tiled: y [batch, M, N] from a transposed and padded to whole vec4 of rows
// [batch, K, aVectors] and b [batch, K, bVectors] of vec4 along a row. A batch stride of 0 shares a factor. Where
// `biased` is 1, bias[i] is added to row i, with COLUMNS_BIASED = 1 bias[j] to column j; then see epilogue.wgsl.
// A long K goes in parts of `chunk`, y [parts, batch, M, N], which add-parts.wgsl adds up; and within a part sums of
// `block` products are made first and then added up, so that no number is added to one that is much larger.
// Threads: one a tile of 4 * ROW_VECTORS rows x 4 * COLUMN_VECTORS columns, in a flat index (columns fastest). Per k a
// thread reads ROW_VECTORS + COLUMN_VECTORS vec4 for 16 * ROW_VECTORS * COLUMN_VECTORS multiply-adds; all sums stay in
// registers. Tiles at the edge read past their row; what they compute there is not written.
const ROW_VECTORS = 4u;
const COLUMN_VECTORS = 4u;
const SUMS = 64u; // 4 * ROW_VECTORS * COLUMN_VECTORS
const TOTALS = 0u; // SUMS, where sums of `block` terms are to be added up
const LATER = 48u; // SUMS - 4 * COLUMN_VECTORS
const NEXT = 12u; // 3 * COLUMN_VECTORS
const COLUMNS_BIASED = 0u;

struct Params {
  count: u32, batch: u32, m: u32, n: u32, k: u32, chunk: u32, block: u32,
  aVectors: u32, bVectors: u32, aBatch: u32, bBatch: u32, tilesM: u32, tilesN: u32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let column = t % p.tilesN * COLUMN_VECTORS;
  let row = t / p.tilesN % p.tilesM * ROW_VECTORS;
  let plane = t / (p.tilesN * p.tilesM);
  let batch = plane % p.batch;
  let first = plane / p.batch * p.chunk;
  let last = min(first + p.chunk, p.k);

  var sums: array<vec4f, SUMS>;
  var totals: array<vec4f, TOTALS + 1u>;
  var ia = batch * p.aBatch + first * p.aVectors + row;
  var ib = batch * p.bBatch + first * p.bVectors + column;
  // Where no totals are kept the outer loop ends after one round for all compilers to see: one that may go on costs
  // llvmpipe a fifteenth of the product's time.
  var k = first;
  loop {
    let end = select(last, min(k + p.block, last), TOTALS > 0u);
    for (; k < end; k++) {
      var u: array<vec4f, ROW_VECTORS>;
      for (var r = 0u; r < ROW_VECTORS; r++) { // unroll
        u[r] = a[ia + r];
      }
      for (var j = 0u; j < COLUMN_VECTORS; j++) { // unroll
        let v = b[ib + j];
        for (var r = 0u; r < ROW_VECTORS; r++) { // unroll
          for (var i = 0u; i < 4u; i++) { // unroll
            let q = (4u * r + i) * COLUMN_VECTORS + j;
            sums[q] = fma(vec4f(u[r][i]), v, sums[q]);
          }
        }
      }
      ia += p.aVectors;
      ib += p.bVectors;
    }
    for (var q = 0u; q < TOTALS; q++) { // unroll
      totals[q] += sums[q];
      sums[q] = vec4f(0.0);
    }
    if (TOTALS == 0u || k >= last) { break; }
  }
  for (var q = 0u; q < TOTALS; q++) { // unroll
    sums[q] = totals[q];
  }

  // One row at a time, the others moving up, so that the code for writing is there once: it is long to compile. Two
  // loops, since moves under a condition take longer still.
  for (var four = row * 4u; four < min((row + ROW_VECTORS) * 4u, p.m); four += 4u) {
    for (var i = four; i < min(four + 4u, p.m); i++) {
      let start = (plane * p.m + i) * p.n + column * 4u;
      let shift = select(0.0, bias[i], p.biased == 1u);
      for (var j = 0u; j < COLUMN_VECTORS; j++) { // unroll
        var sum = sums[j] + shift;
        if (COLUMNS_BIASED == 1u) {
          let c = (column + j) * 4u;
          sum += vec4f(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]);
        }
        let v = finished(sum, start + 4u * j);
        for (var e = 0u; e < 4u; e++) { // unroll
          if ((column + j) * 4u + e < p.n) { y[start + 4u * j + e] = v[e]; }
        }
      }
      for (var q = 0u; q < NEXT; q++) { // unroll
        sums[q] = sums[q + COLUMN_VECTORS];
      }
    }
    for (var q = 0u; q < LATER; q++) { // unroll
      sums[q] = sums[q + 4u * COLUMN_VECTORS];
    }
  }
}
