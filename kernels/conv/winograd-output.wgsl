// Output of Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): the products m [36, O, vectors] of vec4 over
// tiles -> y [N, O, OH, OW], each tile of 4x4 pixels A^T m A; tiles as in winograd-input.wgsl. Where `biased`, bias[o]
// is added; where `clamped`, the result is then brought into [low, high].
// Threads: one four tiles and a channel; reads 36 vec4, writes up to 64 elements.
const WORKGROUP = 64u;

struct Params {
  count: u32, tilesX: u32, tilesY: u32, tiles: u32, vectors: u32, channels: u32, height: u32, width: u32, image: u32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// A^T d
fn transform(d: array<vec4f, 6>) -> array<vec4f, 4> {
  let a = d[1] + d[2];
  let b = d[1] - d[2];
  let c = d[3] + d[4];
  let e = d[3] - d[4];
  return array<vec4f, 4>(d[0] + a + c, b + 2.0 * e, a + 4.0 * c, b + 8.0 * e + d[5]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 65535u * WORKGROUP;
  if (t >= p.count) { return; }
  let first = t % p.vectors * 4u;
  let o = t / p.vectors;

  let at = o * p.vectors + t % p.vectors;
  let step = p.channels * p.vectors;
  var half: array<vec4f, 24>;
  for (var j = 0u; j < 6u; j++) { // unroll
    var d: array<vec4f, 6>;
    for (var i = 0u; i < 6u; i++) { // unroll
      d[i] = m[(6u * i + j) * step + at];
    }
    let e = transform(d);
    for (var i = 0u; i < 4u; i++) { // unroll
      half[6u * i + j] = e[i];
    }
  }
  let shift = select(0.0, bias[o], p.biased == 1u);
  var four: array<vec4f, 16>;
  for (var i = 0u; i < 4u; i++) { // unroll
    let e = transform(array<vec4f, 6>(
      half[6u * i], half[6u * i + 1u], half[6u * i + 2u], half[6u * i + 3u], half[6u * i + 4u], half[6u * i + 5u]));
    for (var j = 0u; j < 4u; j++) { // unroll
      let sum = e[j] + shift;
      four[4u * i + j] = select(sum, clamp(sum, vec4f(p.low), vec4f(p.high)), p.clamped == 1u);
    }
  }
  // A tile at a time, the others moving up, so that the code for writing is there once: it is long to compile.
  for (var tile = first; tile < min(first + 4u, p.tiles); tile++) {
    let n = p.image + tile / (p.tilesX * p.tilesY);
    let x0 = tile % p.tilesX * 4u;
    let y0 = tile / p.tilesX % p.tilesY * 4u;
    let start = ((n * p.channels + o) * p.height + y0) * p.width + x0;
    for (var i = 0u; i < 4u; i++) { // unroll
      for (var j = 0u; j < 4u; j++) { // unroll
        if (y0 + i < p.height && x0 + j < p.width) { y[start + i * p.width + j] = four[4u * i + j].x; }
        four[4u * i + j] = four[4u * i + j].yzwx;
      }
    }
  }
}
