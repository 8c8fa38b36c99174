// Per-channel affine map, the inference form of batch normalisation:
// y[n, c, i] = x[n, c, i] * scale[c] + shift[c], x as [N, C, inner].
// Threads: one an output element; reads one element and its channel's two numbers, writes one.
struct Params { count: u32, channels: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = g.x + g.y * 4194240u;
  if (i >= p.count) { return; }
  let c = (i / p.inner) % p.channels;
  y[i] = fma(x[i], scale[c], shift[c]);
}
