// Means and variances of channels from those of their planes, all of one size: x [batch, channels, 2], as moments.wgsl
// leaves them -> y [2, channels], means and then biased variances.
// Threads: one a channel; each reads 2 batch numbers, writes two. Planes are merged one by one (Chan, Golub, LeVeque
// 1979): with n planes merged, the next mean m moves the mean by (m - mean) / (n + 1).
struct Params { channels: u32, batch: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let c = threadIndex(g);
  if (c >= p.channels) { return; }
  var mean = 0.0;
  var variance = 0.0;
  for (var n = 0u; n < p.batch; n++) {
    let at = 2u * (n * p.channels + c);
    let step = x[at] - mean;
    let share = 1.0 / f32(n + 1u);
    mean = fma(step, share, mean);
    variance = fma(x[at + 1u] - variance + step * (step * f32(n) * share), share, variance);
  }
  y[c] = mean;
  y[p.channels + c] = variance;
}
