// A matrix product to begin with: y [m, n] = x [m, k] w [k, n].
// A workgroup of WORKGROUP threads computes a tile of ROWS x COLUMNS of y; there are as many workgroups as cover y, along
// rows of tiles. Of m, n and k, Params holds those that it names.
const ROWS = 1u;
const COLUMNS = 64u;
struct Params { m: u32, n: u32, k: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tile = groupIndex(group);
  let across = (p.n + COLUMNS - 1u) / COLUMNS;
  let row = tile / across;
  let column = tile % across * COLUMNS + thread;
  if (row >= p.m || column >= p.n) { return; }
  var sum = 0f;
  for (var i = 0u; i < p.k; i++) { sum = fma(x[row * p.k + i], w[i * p.n + column], sum); }
  y[row * p.n + column] = sum;
}

