// Score-CAM's masked inputs (Wang 2020, algorithm 1): y[k, c, i] = x[c, i] * (u[k, i] - low[k]) / (high[k] - low[k]),
// x [C, HW] one normalised image, u [K, HW] upsampled channels, low and high [K] their ranges; 0 where the range is
// empty. Threads: one an element of y [K, C, HW]; reads one element of x and of u and the channel's range.
struct Params { count: u32, channels: u32, pixels: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> low: array<f32>;
@group(0) @binding(4) var<storage, read> high: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  let i = t % p.pixels;
  let k = t / (p.pixels * p.channels);
  let range = high[k] - low[k];
  y[t] = select(0.0, x[t % (p.pixels * p.channels)] * (u[k * p.pixels + i] - low[k]) / range, range > 0.0);
}
