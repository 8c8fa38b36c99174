// Values averaged by attention probabilities: probabilities [N, heads, T, T] and packed queries, keys and values
// [N, T, 3 D] -> y [N, T, D], heads side by side, where y[n, t, h] = sum over s of p[n, h, t, s] * value[n, s, h]. Of vec4
// along D there are p.width a head.
// Threads: one a tile of ROWS tokens x VECTORS vec4 of one head, in a flat index (vec4 fastest). Per key a thread reads
// ROWS numbers and VECTORS vec4 for 4 * ROWS * VECTORS multiply-adds; all sums stay in registers. Tiles at the edge read
// beyond the last token; what they compute there is not written.
const ROWS = 8u;
const VECTORS = 2u;
const SUMS = 16u; // ROWS * VECTORS
const LATER = 14u; // SUMS - VECTORS

struct Params { count: u32, tokens: u32, heads: u32, width: u32, tilesM: u32, tilesN: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> probabilities: array<f32>;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let row = t / p.tilesN % p.tilesM * ROWS;
  let plane = t / (p.tilesN * p.tilesM);
  let whole = p.heads * p.width;
  let vector = plane % p.heads * p.width + t % p.tilesN * VECTORS;
  let first = plane / p.heads * p.tokens;

  var sums: array<vec4f, SUMS>;
  var ip = (plane * p.tokens + row) * p.tokens;
  var iv = (3u * first + 2u) * whole + vector;
  for (var s = 0u; s < p.tokens; s++) {
    var share: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) { // unroll
      share[r] = probabilities[ip + r * p.tokens];
    }
    for (var j = 0u; j < VECTORS; j++) { // unroll
      let v = qkv[iv + j];
      for (var r = 0u; r < ROWS; r++) { // unroll
        sums[r * VECTORS + j] = fma(vec4f(share[r]), v, sums[r * VECTORS + j]);
      }
    }
    ip++;
    iv += 3u * whole;
  }

  // One row at a time, the others moving up, so that the code for writing is there once: it is long to compile.
  for (var i = row; i < min(row + ROWS, p.tokens); i++) {
    for (var j = 0u; j < VECTORS; j++) { // unroll
      y[(first + i) * whole + vector + j] = sums[j];
    }
    for (var q = 0u; q < LATER; q++) { // unroll
      sums[q] = sums[q + VECTORS];
    }
  }
}
