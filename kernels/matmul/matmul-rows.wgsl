// Batched product of rows with rows: y[b, i, j] = scale * dot(row i of a, row j of b), what a linear layer does with its
// weights and attention with queries and keys. Rows are whole vec4, p.k of them, and lie where the strides say (in vec4),
// so that nothing is copied first: batch b is piece b % pieces of whole b / pieces. bias[j] is added to column j where
// `biased`; then see epilogue.wgsl. Long rows go in parts and blocks, as in matmul-tiled.wgsl.
// Threads: one a tile of ROWS rows x 4 * COLUMN_VECTORS columns, in a flat index (columns fastest). Per vec4 of a row a
// thread reads ROWS + 4 * COLUMN_VECTORS vec4 for 16 * ROWS * COLUMN_VECTORS multiply-adds; all sums stay in registers.
// Tiles at the edge read beyond the last row; what they compute there is not written.
const ROWS = 8u;
const COLUMN_VECTORS = 2u;
const SUMS = 16u; // ROWS * COLUMN_VECTORS
const TOTALS = 0u; // SUMS, where sums of `block` terms are to be added up
const LATER = 14u; // SUMS - COLUMN_VECTORS

struct Params {
  count: u32, batch: u32, m: u32, n: u32, k: u32, chunk: u32, block: u32, tilesM: u32, tilesN: u32, pieces: u32,
  aFirst: u32, aWhole: u32, aPiece: u32, aRow: u32, bFirst: u32, bWhole: u32, bPiece: u32, bRow: u32, scale: f32,
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
  let column = t % p.tilesN * COLUMN_VECTORS * 4u;
  let row = t / p.tilesN % p.tilesM * ROWS;
  let plane = t / (p.tilesN * p.tilesM);
  let batch = plane % p.batch;
  let first = plane / p.batch * p.chunk;
  let last = min(first + p.chunk, p.k);

  var sums: array<vec4f, SUMS>;
  var totals: array<vec4f, TOTALS + 1u>;
  let whole = batch / p.pieces;
  let piece = batch % p.pieces;
  var ia = p.aFirst + whole * p.aWhole + piece * p.aPiece + row * p.aRow + first;
  var ib = p.bFirst + whole * p.bWhole + piece * p.bPiece + column * p.bRow + first;
  // Where no totals are kept the outer loop ends after one round for all compilers to see: one that may go on costs
  // llvmpipe a fifteenth of the product's time.
  var k = first;
  loop {
    let end = select(last, min(k + p.block, last), TOTALS > 0u);
    for (; k < end; k++) {
      var u: array<vec4f, ROWS>;
      for (var r = 0u; r < ROWS; r++) { // unroll
        u[r] = a[ia + r * p.aRow];
      }
      for (var j = 0u; j < COLUMN_VECTORS; j++) { // unroll
        for (var e = 0u; e < 4u; e++) { // unroll
          let v = b[ib + (4u * j + e) * p.bRow];
          for (var r = 0u; r < ROWS; r++) { // unroll
            sums[r * COLUMN_VECTORS + j][e] += dot(u[r], v);
          }
        }
      }
      ia++;
      ib++;
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

  // One row at a time, the others moving up, so that the code for writing is there once: it is long to compile.
  for (var i = row; i < min(row + ROWS, p.m); i++) {
    let start = (plane * p.m + i) * p.n + column;
    for (var j = 0u; j < COLUMN_VECTORS; j++) { // unroll
      let c = column + 4u * j;
      let shift = select(vec4f(0.0), vec4f(bias[c], bias[c + 1u], bias[c + 2u], bias[c + 3u]), p.biased != 0u);
      let v = finished(fma(sums[j], vec4f(p.scale), shift), start + 4u * j);
      for (var e = 0u; e < 4u; e++) { // unroll
        if (c + e < p.n) { y[start + 4u * j + e] = v[e]; }
      }
    }
    for (var q = 0u; q < LATER; q++) { // unroll
      sums[q] = sums[q + COLUMN_VECTORS];
    }
  }
}
