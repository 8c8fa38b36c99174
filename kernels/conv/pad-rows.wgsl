// A zero-padded copy of planes with rows of whole vec4: x [planes, H, W] -> y [planes, HP, WP/4] of vec4, with
// `spreadY`, `spreadX` - 1 zero rows and columns between pixels (the adjoint of a stride). Element (i, j) of the
// padded plane is x at ((i - top) / spreadY, (j - left) / spreadX) where that exists, else 0.
// Threads: one a vec4; reads up to four elements, writes one vec4. It lets the fast convolutions read vec4 without
// a bounds check.
struct Params {
  count: u32, height: i32, width: i32, paddedHeight: u32, rowVectors: u32, top: i32, left: i32, spreadY: i32,
  spreadX: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  let row = i32(t / p.rowVectors % p.paddedHeight) - p.top;
  let column = i32(t % p.rowVectors) * 4 - p.left;
  let plane = i32(t / (p.rowVectors * p.paddedHeight)) * p.height * p.width;
  var v = vec4f(0.0);
  let iy = row / p.spreadY;
  if (row >= 0 && iy * p.spreadY == row && iy < p.height) {
    let start = plane + iy * p.width;
    for (var k = 0u; k < 4u; k++) { // unroll
      let j = column + i32(k);
      let ix = j / p.spreadX;
      if (j >= 0 && ix * p.spreadX == j && ix < p.width) { v[k] = x[start + ix]; }
    }
  }
  y[t] = v;
}
