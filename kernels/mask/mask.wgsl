// Score-CAM's masked inputs (Wang 2020, algorithm 1): y[k, c, i] = x[c, i] * (u[k, i] - low[k]) / (high[k] - low[k]),
// x [C, HW] one normalised image, u [K, HW] upsampled channels, low and high [K] their ranges; 0 where the range is
// empty. Threads: one for 4 pixels at a stride of 64 in one plane of y [K, C, HW], a workgroup for 256 neighbouring
// ones; reads an element of x and of u for each, and the mask's range once.
const PER_THREAD = 4u;

struct Params { count: u32, channels: u32, pixels: u32, blocks: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> low: array<f32>;
@group(0) @binding(4) var<storage, read> high: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = groupIndex(group);
  if (block >= p.count) { return; }
  let plane = block / p.blocks;
  let k = plane / p.channels;
  let first = block % p.blocks * WORKGROUP * PER_THREAD + lane;
  let range = high[k] - low[k];
  let share = select(0.0, 1.0 / range, range > 0.0);
  for (var j = 0u; j < PER_THREAD; j++) {
    let i = first + j * WORKGROUP;
    if (i < p.pixels) {
      y[plane * p.pixels + i] = x[plane % p.channels * p.pixels + i] * ((u[k * p.pixels + i] - low[k]) * share);
    }
  }
}
