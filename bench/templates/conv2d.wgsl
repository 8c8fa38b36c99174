// A convolution to begin with, stride 1 and the output of the input's size: x [batch, inChannels, height, width],
// w [outChannels, inChannels / groups, kernel, kernel] -> y [batch, outChannels, height, width].
// A workgroup of WORKGROUP threads computes ROWS channels of COLUMNS pixels of y; there are as many workgroups as cover y,
// image after image, along rows of tiles. Params holds those of the sizes that it names.
const ROWS = 1u;
const COLUMNS = 64u;
struct Params {
  batch: u32, inChannels: u32, outChannels: u32, height: u32, width: u32, kernel: u32, pad: u32, groups: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tile = groupIndex(group);
  let pixels = p.height * p.width;
  let across = (pixels + COLUMNS - 1u) / COLUMNS;
  let channel = tile / across % p.outChannels;
  let image = tile / across / p.outChannels;
  let pixel = tile % across * COLUMNS + thread;
  if (image >= p.batch || pixel >= pixels) { return; }
  let grouped = p.inChannels / p.groups;
  let first = channel / (p.outChannels / p.groups) * grouped;
  var sum = 0f;
  for (var c = 0u; c < grouped; c++) {
    for (var ky = 0u; ky < p.kernel; ky++) {
      for (var kx = 0u; kx < p.kernel; kx++) {
        let row = pixel / p.width + ky - p.pad; // beyond the edge it is very large: there are no negative u32
        let column = pixel % p.width + kx - p.pad;
        if (row < p.height && column < p.width) {
          let at = ((image * p.inChannels + first + c) * p.height + row) * p.width + column;
          sum = fma(x[at], w[((channel * grouped + c) * p.kernel + ky) * p.kernel + kx], sum);
        }
      }
    }
  }
  y[(image * p.outChannels + channel) * pixels + pixel] = sum;
}

