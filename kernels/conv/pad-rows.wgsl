// A zero-padded copy of planes with rows of whole vec4: x [planes, H, W] -> y [planes, HP, WP/4] of vec4, with
// SPREAD_Y, SPREAD_X - 1 zero rows and columns between pixels (the adjoint of a stride). Element (i, j) of the
// padded plane is x at ((i - top) / SPREAD_Y, (j - left) / SPREAD_X) where that exists, else 0.
// Threads: one a vec4; reads up to four elements, writes one vec4. It lets the fast convolutions read vec4 without
// a bounds check.
const SPREAD_Y = 1u;
const SPREAD_X = 1u;

struct Params {
  count: u32, height: i32, width: i32, paddedHeight: u32, rowVectors: u32, top: i32, left: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let row = i32(t / p.rowVectors % p.paddedHeight) - p.top;
  let column = i32(t % p.rowVectors) * 4 - p.left;
  let plane = i32(t / (p.rowVectors * p.paddedHeight)) * p.height * p.width;
  var v = vec4f(0.0);
  let iy = row / i32(SPREAD_Y);
  if (row >= 0 && iy * i32(SPREAD_Y) == row && iy < p.height) {
    let start = plane + iy * p.width;
    for (var k = 0u; k < 4u; k++) { // unroll
      let j = column + i32(k);
      let ix = j / i32(SPREAD_X);
      if (j >= 0 && ix * i32(SPREAD_X) == j && ix < p.width) { v[k] = x[start + ix]; }
    }
  }
  y[t] = v;
}
