// Depthwise convolution and, with ADJOINT = 1, its adjoint in the input: y [N, O, OH, OW] from x [N, C, H, W] and
// w [O, KERNEL_Y, KERNEL_X], where output channel o reads input channel o / `multiplier` alone. The adjoint turns the
// kernel by 180 degrees; SPREAD_Y, SPREAD_X - 1 zeros are thought between the pixels of x (the adjoint of a stride).
// Where `biased`, bias[o] is added; then see epilogue.wgsl.
// Threads: one for a strip of one channel, 4 output pixels wide and `stripRows` high. It goes down the strip with a
// window of SPAN x COLUMNS input pixels in registers, of which each step reads FRESH new rows: for 3x3, 6 elements for
// 36 multiply-adds. A padded copy, as for other convolutions, would cost more than the convolution.
const KERNEL_Y = 3u;
const KERNEL_X = 3u;
const STRIDE_Y = 1u;
const STRIDE_X = 1u;
const DILATION_Y = 1u;
const DILATION_X = 1u;
const SPREAD_Y = 1u;
const SPREAD_X = 1u;
const ADJOINT = 0u;
const COLUMNS = 6u; // 3 * STRIDE_X + (KERNEL_X - 1) * DILATION_X + 1
const FRESH = 1u; // min(STRIDE_Y, SPAN), where SPAN = (KERNEL_Y - 1) * DILATION_Y + 1
const KEPT = 2u; // SPAN - FRESH
const WARM_UP = 2u; // steps before the window is full: ceil(KEPT / STRIDE_Y)
const KEPT_PIXELS = 12u; // KEPT * COLUMNS
const WINDOW = 18u; // SPAN * COLUMNS
const TAPS = 9u; // KERNEL_Y * KERNEL_X

struct Params {
  count: u32, stripsX: u32, stripsY: u32, stripRows: u32, channels: u32, multiplier: u32, height: i32,
  width: i32, outHeight: u32, outWidth: u32, top: i32, left: i32, biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let x0 = t % p.stripsX * 4u;
  let y0 = t / p.stripsX % p.stripsY * p.stripRows;
  let plane = t / (p.stripsX * p.stripsY);
  let o = plane % p.channels;
  let base = i32(plane / p.multiplier) * p.height * p.width;
  let shift = select(0.0, bias[o], p.biased == 1u);

  var weights: array<f32, TAPS>;
  for (var k = 0u; k < TAPS; k++) { // unroll
    weights[k] = w[o * TAPS + select(k, TAPS - 1u - k, ADJOINT == 1u)];
  }
  var insideX: array<bool, COLUMNS>;
  var columns: array<i32, COLUMNS>;
  for (var j = 0u; j < COLUMNS; j++) { // unroll
    let h = i32(x0 * STRIDE_X + j) - p.left;
    columns[j] = base + h / i32(SPREAD_X);
    insideX[j] = h >= 0 && h / i32(SPREAD_X) < p.width && h % i32(SPREAD_X) == 0;
  }

  var window: array<f32, WINDOW>;
  for (var step = 0u; step < min(p.stripRows, p.outHeight - y0) + WARM_UP; step++) {
    for (var i = 0u; i < KEPT_PIXELS; i++) { // unroll
      window[i] = window[i + FRESH * COLUMNS];
    }
    for (var i = 0u; i < FRESH; i++) { // unroll
      // Steps of the warm-up stand for output rows before the strip's first.
      let v = i32((y0 + step) * STRIDE_Y + KEPT + i) - i32(WARM_UP * STRIDE_Y) - p.top;
      let iy = v / i32(SPREAD_Y);
      let inside = v >= 0 && iy < p.height && iy * i32(SPREAD_Y) == v;
      for (var j = 0u; j < COLUMNS; j++) { // unroll
        window[KEPT_PIXELS + i * COLUMNS + j] = select(0.0, x[columns[j] + iy * p.width], inside && insideX[j]);
      }
    }
    if (step >= WARM_UP) {
      let at = (plane * p.outHeight + y0 + step - WARM_UP) * p.outWidth + x0;
      var sums: vec4f;
      for (var ox = 0u; ox < 4u; ox++) { // unroll
        var sum = shift;
        for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
          for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
            let pixel = window[ky * DILATION_Y * COLUMNS + ox * STRIDE_X + kx * DILATION_X];
            sum = fma(weights[ky * KERNEL_X + kx], pixel, sum);
          }
        }
        sums[ox] = sum;
      }
      let line = finished(sums, at);
      for (var ox = 0u; ox < 4u; ox++) { // unroll
        if (x0 + ox < p.outWidth) { y[at + ox] = line[ox]; }
      }
    }
  }
}
