// Bilinear resampling of planes and its adjoint. Forward (ADJOINT = 0): x [planes, H, W] -> y [planes, OH, OW].
// Output pixel o reads input position (o + 0.5) * H / OH - 0.5, clamped at 0, or o * (H - 1) / (OH - 1) when corners
// are aligned; the neighbour beyond the edge is the edge itself. Adjoint: d [planes, OH, OW] -> y [parts, planes, H, W], the
// outputs in reach of an input pixel being cut into parts as windows are in avg-pool.wgsl.
// Threads: forward one for 4 neighbouring outputs of a row (`quarters` of them), which share the vertical weight; each
// output reads four elements. The adjoint has one an element of y, which reads its part of the outputs in reach, with the
// same weights computed by the same function.
const ADJOINT = 0u;
const ALIGN_CORNERS = 0u;

struct Params {
  count: u32, height: i32, width: i32, outHeight: i32, outWidth: i32,
  ratioY: f32, ratioX: f32, // input pixels per output pixel
  quarters: u32,
  results: u32, across: u32, tile: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

struct Tap { low: i32, high: i32, weight: f32 } // value = x[low] * (1 - weight) + x[high] * weight

fn tap(o: i32, ratio: f32, size: i32) -> Tap {
  var position = f32(o) * ratio;
  if (ALIGN_CORNERS == 0u) { position = max((f32(o) + 0.5) * ratio - 0.5, 0.0); }
  let low = min(i32(floor(position)), size - 1);
  return Tap(low, min(low + 1, size - 1), clamp(position - f32(low), 0.0, 1.0));
}

// The share of input pixel i in output pixel o.
fn share(o: i32, i: i32, ratio: f32, size: i32) -> f32 {
  let t = tap(o, ratio, size);
  return select(0.0, 1.0 - t.weight, t.low == i) + select(0.0, t.weight, t.high == i);
}

// The outputs that may read input pixel i: everything within one input pixel, one more for rounding, and
// everything beyond at an edge.
fn reach(i: i32, ratio: f32, size: i32, outSize: i32) -> vec2i {
  let shift = select(0.5, 0.0, ALIGN_CORNERS == 1u);
  let scale = 1.0 / max(ratio, 1e-6);
  let first = i32(floor((f32(i) - 1.0 + shift) * scale - shift)) - 1;
  var last = i32(ceil((f32(i) + 1.0 + shift) * scale - shift)) + 1;
  if (i == size - 1 || ratio == 0.0) { last = outSize - 1; }
  return vec2i(clamp(first, 0, outSize - 1), clamp(last, 0, outSize - 1));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  if (ADJOINT == 0u) {
    let ox = i32(t % p.quarters) * 4;
    let row = i32(t / p.quarters); // of all planes
    let v = tap(row % p.outHeight, p.ratioY, p.height);
    let plane = row / p.outHeight * p.height;
    let upper = (plane + v.low) * p.width;
    let lower = (plane + v.high) * p.width;
    for (var k = 0; k < 4; k++) {
      if (ox + k < p.outWidth) {
        let h = tap(ox + k, p.ratioX, p.width);
        let above = mix(x[upper + h.low], x[upper + h.high], h.weight);
        let below = mix(x[lower + h.low], x[lower + h.high], h.weight);
        y[row * p.outWidth + ox + k] = mix(above, below, v.weight);
      }
    }
  } else {
    let r = i32(t % p.results);
    let part = t / p.results;
    let j = r % p.width;
    let i = r / p.width % p.height;
    let plane = r / (p.width * p.height) * p.outHeight * p.outWidth;
    let rows = reach(i, p.ratioY, p.height, p.outHeight);
    let columns = reach(j, p.ratioX, p.width, p.outWidth);
    let first = vec2i(rows.x, columns.x) + vec2i(i32(part / p.across), i32(part % p.across)) * p.tile;
    let last = min(first + p.tile - 1, vec2i(rows.y, columns.y));
    var sum = 0.0;
    for (var oy = first.x; oy <= last.x; oy++) {
      let wy = share(oy, i, p.ratioY, p.height);
      if (wy == 0.0) { continue; }
      var row = 0.0;
      for (var ox = first.y; ox <= last.y; ox++) {
        row += share(ox, j, p.ratioX, p.width) * x[plane + oy * p.outWidth + ox];
      }
      sum += wy * row;
    }
    y[t] = sum;
  }
}
