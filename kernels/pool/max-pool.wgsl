// Largest element of each window, where no derivative will ask which it was: x [planes, H, W] -> y [planes, OH, OW].
// No dilation. Padding never wins: a window's rows and columns outside x are read at the edge instead, which is in the
// same window. NaN wins: elements are compared as integers in their order, with every NaN above infinity.
// Threads: one for 4 neighbouring outputs of a row; reads KERNEL_Y x COLUMNS elements once, writes up to 4.
const KERNEL_Y = 3u;
const KERNEL_X = 3u;
const STRIDE_X = 2u;
const COLUMNS = 9u; // 3 * STRIDE_X + KERNEL_X

struct Params {
  count: u32, height: i32, width: i32, outHeight: u32, outWidth: u32, strideY: i32, top: i32, left: i32,
  quarters: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Bits in sign and magnitude, as two's complement, so that the order is that of the numbers; then counted from minus
// infinity up, which takes NaN of either sign to the top.
fn rank(v: f32) -> u32 {
  let bits = bitcast<i32>(v);
  return bitcast<u32>(bits ^ ((bits >> 31u) & 0x7fffffff)) - 0x807fffffu;
}

fn ranked(r: u32) -> f32 {
  let bits = bitcast<i32>(r + 0x807fffffu);
  return bitcast<f32>(bits ^ ((bits >> 31u) & 0x7fffffff));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let ox = t % p.quarters * 4u;
  let row = t / p.quarters; // of all planes
  let oy = row % p.outHeight;
  let base = i32(row / p.outHeight) * p.height * p.width;
  let x0 = i32(ox * STRIDE_X) - p.left;
  let y0 = i32(oy) * p.strideY - p.top;

  var columns: array<u32, COLUMNS>; // from 0, minus infinity's rank
  for (var i = 0u; i < KERNEL_Y; i++) {
    let start = base + clamp(y0 + i32(i), 0, p.height - 1) * p.width;
    for (var j = 0u; j < COLUMNS; j++) { // unroll
      let v = rank(x[start + clamp(x0 + i32(j), 0, p.width - 1)]);
      columns[j] = max(columns[j], v);
    }
  }
  for (var k = 0u; k < 4u; k++) { // unroll
    var best = columns[k * STRIDE_X];
    for (var j = 0u; j < KERNEL_X; j++) { // unroll
      best = max(best, columns[k * STRIDE_X + j]);
    }
    if (ox + k < p.outWidth) { y[row * p.outWidth + ox + k] = ranked(best); }
  }
}
