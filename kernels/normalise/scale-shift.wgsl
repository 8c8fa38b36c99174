// Per-channel affine map, what batch normalisation does: y[n, c, i] = x[n, c, i] * scale[c] + shift[c], x as
// [N, C, inner].
// Threads: one for each four neighbours of a plane; each reads them and their channel's two numbers, writes them. So
// the channel, a division, is found once for four.
struct Params { count: u32, channels: u32, inner: u32, quads: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let plane = t / p.quads;
  let c = plane % p.channels;
  let first = 4u * (t - plane * p.quads);
  let last = plane * p.inner + min(first + 4u, p.inner);
  let a = scale[c];
  let b = shift[c];
  for (var i = plane * p.inner + first; i < last; i++) { y[i] = fma(x[i], a, b); }
}
