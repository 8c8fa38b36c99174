// Input of Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): x [N, C, H, W] -> v [36, C, columns], where
// column t stands for the 6x6 pixels d under the t-th tile of 4x4 output pixels, and v = B^T d B. Pixels outside x are
// zero.
// Tiles are counted over the rows and columns of one image, then over images from `image` on.
// Threads: one a tile and channel; reads 36 elements, writes 36.
struct Params {
  count: u32, tilesX: u32, tilesY: u32, tiles: u32, columns: u32, channels: u32, height: i32, width: i32,
  top: i32, left: i32, image: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;

// B^T d
fn transform(d: array<f32, 6>) -> array<f32, 6> {
  let a = d[4] - 4.0 * d[2];
  let b = d[3] - 4.0 * d[1];
  let c = d[4] - d[2];
  let e = 2.0 * (d[3] - d[1]);
  return array<f32, 6>(4.0 * d[0] - 5.0 * d[2] + d[4], a + b, a - b, c + e, c - e, 4.0 * d[1] - 5.0 * d[3] + d[5]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let tile = t % p.tiles;
  let c = t / p.tiles;
  let n = p.image + tile / (p.tilesX * p.tilesY);
  let x0 = i32(tile % p.tilesX * 4u) - p.left;
  let y0 = i32(tile / p.tilesX % p.tilesY * 4u) - p.top;
  let base = i32(n * p.channels + c) * p.height;

  // A row and then a column at a time, the others moving up, so that the code for reading and writing is there once: it
  // is long to compile.
  var half: array<f32, 36>;
  for (var iy = y0; iy < y0 + 6; iy++) {
    let row = (base + iy) * p.width + x0;
    var d: array<f32, 6>;
    for (var j = 0u; j < 6u; j++) { // unroll
      let ix = x0 + i32(j);
      d[j] = select(0.0, x[row + i32(j)], iy >= 0 && iy < p.height && ix >= 0 && ix < p.width);
    }
    for (var q = 0u; q < 30u; q++) { // unroll
      half[q] = half[q + 6u];
    }
    let e = transform(d);
    for (var j = 0u; j < 6u; j++) { // unroll
      half[30u + j] = e[j];
    }
  }
  let step = p.channels * p.columns;
  let first = c * p.columns + tile;
  for (var at = first; at < first + 6u * step; at += step) {
    let e = transform(array<f32, 6>(half[0], half[6], half[12], half[18], half[24], half[30]));
    for (var i = 0u; i < 6u; i++) { // unroll
      v[6u * i * step + at] = e[i];
    }
    for (var q = 0u; q < 35u; q++) { // unroll
      half[q] = half[q + 1u];
    }
  }
}
