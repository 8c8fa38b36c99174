// softmax.wgsl along the last axis where rows are whole vec4: x [lines, vectors] of vec4.
// Threads and passes are the same; each step of a pass takes four elements.
const LOG = 0u;
const BLOCK = 256u;

struct Params { lines: u32, vectors: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.lines) { return; }
  let start = t * p.vectors;
  let end = start + p.vectors;
  var most = x[start];
  var areNan = vec4<bool>(false);
  for (var i = start; i < end; i++) {
    most = max(most, x[i]);
    areNan = areNan | isNan4(x[i]);
  }
  let largest = max(max(most.x, most.y), max(most.z, most.w));
  var sums = vec4f(0.0);
  for (var block = start; block < end; block += BLOCK) {
    var sum = vec4f(0.0);
    for (var i = block; i < min(block + BLOCK, end); i++) { sum += exp(x[i] - largest); }
    sums += sum;
  }
  let total = (sums.x + sums.y) + (sums.z + sums.w);
  let isLost = any(areNan) || !isFinite(largest);
  if (LOG == 1u) {
    let rest = select(log(total), nan(), isLost);
    for (var i = start; i < end; i++) { y[i] = (x[i] - largest) - rest; }
  } else {
    let scale = select(1.0 / total, nan(), isLost);
    for (var i = start; i < end; i++) { y[i] = exp(x[i] - largest) * scale; }
  }
}
