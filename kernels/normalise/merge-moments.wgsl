// Means and variances of channels from those of their planes: x [batch, channels, 2], as moments.wgsl leaves them for
// planes of `inner` elements -> y [2, channels], means and then biased variances.
// Threads: one a channel; each reads 2 batch numbers, writes two. Planes are merged one by one (Chan, Golub, LeVeque
// 1979): with n planes merged, the next mean m moves the mean by (m - mean) / (n + 1).
struct Params { channels: u32, batch: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let c = threadIndex(g);
  if (c >= p.channels) { return; }
  var mean = 0.0;
  var squares = 0.0;
  for (var n = 0u; n < p.batch; n++) {
    let at = 2u * (n * p.channels + c);
    let step = x[at] - mean;
    let share = 1.0 / f32(n + 1u);
    mean = fma(step, share, mean);
    squares += x[at + 1u] + step * step * f32(p.inner) * f32(n) * share;
  }
  y[c] = mean;
  y[p.channels + c] = squares / f32(max(1u, p.batch * p.inner));
}
