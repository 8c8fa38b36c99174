// Convolution of a small kernel, register-tiled: y [N, O, OH, OW] from x [N, C, H, W] and weights packed by
// pack-weights.wgsl [C/groups, KERNEL_Y * KERNEL_X, groups * vectors]. Pixels outside x are zero. Where `biased`, bias[o]
// is added; then see epilogue.wgsl. No dilation.
// Threads: one a tile of 4 output channels x TILE_ROWS x 4 output pixels, in a flat index (tiles fastest, then channels),
// so that small maps still fill the device. Per input channel a thread reads its KERNEL_Y * KERNEL_X weight vectors and
// ROWS rows of COLUMNS pixels once each and keeps 16 * TILE_ROWS sums in registers. Where x has rows of whole vec4, WHOLES
// of them in each row of a tile, from pixel FIRST to AFTER, are read as such; `pixels` is x again, for the others: for 3x3
// and 8 rows, 19 vec4 and 20 elements for 1152 multiply-adds.
const KERNEL_Y = 3u;
const KERNEL_X = 3u;
const STRIDE_Y = 1u;
const STRIDE_X = 1u;
const TAPS = 9u; // KERNEL_Y * KERNEL_X
const ROWS = 10u; // (TILE_ROWS - 1) * STRIDE_Y + KERNEL_Y
const COLUMNS = 6u; // 3 * STRIDE_X + KERNEL_X
const WHOLES = 1u;
const FIRST = 1u;
const AFTER = 5u; // FIRST + 4 * WHOLES
const TILE_ROWS = 8u;
const SUMS = 32u; // 4 * TILE_ROWS
const LATER = 28u; // SUMS - 4

// `vectors` vec4 hold a group's output channels.
struct Params {
  tilesX: u32, tilesY: u32, tiles: u32, groups: u32, vectors: u32, groupIn: u32, groupOut: u32,
  height: i32, width: i32, top: i32, left: i32, outHeight: u32, outWidth: u32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> pixels: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> summand: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  let tile = t % p.tiles;
  let o4 = t / p.tiles;
  if (o4 >= p.groups * p.vectors) { return; }
  let x0 = tile % p.tilesX * 4u;
  let y0 = tile / p.tilesX % p.tilesY * TILE_ROWS;
  let n = tile / (p.tilesX * p.tilesY);
  let group = o4 / p.vectors;
  let first = o4 % p.vectors * 4u;

  // Which of the pixels under the tile lie in x.
  let top = i32(y0 * STRIDE_Y) - p.top;
  let left = i32(x0 * STRIDE_X) - p.left;
  var insideY: array<bool, ROWS>;
  for (var i = 0u; i < ROWS; i++) { // unroll
    insideY[i] = top + i32(i) >= 0 && top + i32(i) < p.height;
  }
  var insideX: array<bool, COLUMNS>;
  for (var j = 0u; j < COLUMNS; j++) { // unroll
    insideX[j] = left + i32(j) >= 0 && left + i32(j) < p.width;
  }

  var sums: array<vec4f, SUMS>;
  let channel = i32((n * p.groups + group) * p.groupIn);
  var at = (channel * p.height + top) * p.width + left;
  var wat = o4;
  for (var c = 0u; c < p.groupIn; c++) {
    var weights: array<vec4f, TAPS>;
    for (var k = 0u; k < TAPS; k++) { // unroll
      weights[k] = w[wat + k * p.groups * p.vectors];
    }
    for (var i = 0u; i < ROWS; i++) { // unroll
      let start = at + i32(i) * p.width;
      var row: array<f32, COLUMNS>;
      for (var j = 0u; j < WHOLES; j++) { // unroll
        let four = select(vec4f(0.0), x[(start + i32(FIRST)) / 4 + i32(j)], insideY[i] && insideX[FIRST + 4u * j]);
        row[FIRST + 4u * j] = four.x;
        row[FIRST + 4u * j + 1u] = four.y;
        row[FIRST + 4u * j + 2u] = four.z;
        row[FIRST + 4u * j + 3u] = four.w;
      }
      for (var j = 0u; j < COLUMNS; j++) { // unroll
        if (j < FIRST || j >= AFTER) { row[j] = select(0.0, pixels[start + i32(j)], insideY[i] && insideX[j]); }
      }
      for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
        let oy = (i - ky) / STRIDE_Y;
        if (oy * STRIDE_Y + ky == i && oy < TILE_ROWS) {
          for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
            for (var ox = 0u; ox < 4u; ox++) { // unroll
              sums[oy * 4u + ox] = fma(weights[ky * KERNEL_X + kx], vec4f(row[ox * STRIDE_X + kx]), sums[oy * 4u + ox]);
            }
          }
        }
      }
    }
    at += p.height * p.width;
    wat += TAPS * p.groups * p.vectors;
  }

  // A row at a time, the others moving up, so that the code for writing is there once: it is long to compile.
  for (var oy = y0; oy < min(y0 + TILE_ROWS, p.outHeight); oy++) {
    for (var k = 0u; k < 4u; k++) { // unroll
      if (first + k < p.groupOut) {
        let o = group * p.groupOut + first + k;
        let start = ((n * p.groups * p.groupOut + o) * p.outHeight + oy) * p.outWidth + x0;
        let shift = select(0.0, bias[o], p.biased == 1u);
        let line = finished(vec4f(sums[0][k], sums[1][k], sums[2][k], sums[3][k]) + shift, start);
        for (var ox = 0u; ox < 4u; ox++) { // unroll
          if (x0 + ox < p.outWidth) { y[start + ox] = line[ox]; }
        }
      }
    }
    for (var q = 0u; q < LATER; q++) { // unroll
      sums[q] = sums[q + 4u];
    }
  }
}
