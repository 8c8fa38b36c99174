// Output of Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): the products m [36, O, columns] ->
// y [N, O, OH, OW], each tile of 4x4 pixels A^T m A; tiles as in winograd-input.wgsl. Where `biased`, bias[o] is added;
// then see epilogue.wgsl.
// Threads: one a tile and channel; reads 36 elements, writes up to 16.
struct Params {
  count: u32, tilesX: u32, tilesY: u32, tiles: u32, columns: u32, channels: u32, height: u32, width: u32, image: u32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> summand: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// A^T d
fn transform(d: array<f32, 6>) -> vec4f {
  let a = d[1] + d[2];
  let b = d[1] - d[2];
  let c = d[3] + d[4];
  let e = d[3] - d[4];
  return vec4f(d[0] + a + c, b + 2.0 * e, a + 4.0 * c, b + 8.0 * e + d[5]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let tile = t % p.tiles;
  let o = t / p.tiles;
  let n = p.image + tile / (p.tilesX * p.tilesY);
  let x0 = tile % p.tilesX * 4u;
  let y0 = tile / p.tilesX % p.tilesY * 4u;

  // A column and then a row at a time, the others moving up, as in winograd-input.wgsl.
  let step = p.channels * p.columns;
  let first = o * p.columns + tile;
  var half: array<vec4f, 6>;
  for (var at = first; at < first + 6u * step; at += step) {
    var d: array<f32, 6>;
    for (var i = 0u; i < 6u; i++) { // unroll
      d[i] = m[6u * i * step + at];
    }
    for (var j = 0u; j < 5u; j++) { // unroll
      half[j] = half[j + 1u];
    }
    half[5] = transform(d);
  }
  let shift = select(0.0, bias[o], p.biased == 1u);
  let plane = (n * p.channels + o) * p.height;
  for (var iy = y0; iy < min(y0 + 4u, p.height); iy++) {
    let sum = transform(array<f32, 6>(half[0].x, half[1].x, half[2].x, half[3].x, half[4].x, half[5].x)) + shift;
    let start = (plane + iy) * p.width + x0;
    let line = finished(sum, start);
    for (var j = 0u; j < 4u; j++) { // unroll
      if (x0 + j < p.width) { y[start + j] = line[j]; }
    }
    for (var j = 0u; j < 6u; j++) { // unroll
      half[j] = half[j].yzww;
    }
  }
}
