// A cotangent with its channels innermost, for the weight gradient: dy [N, O, OH, OW] -> y [N, OH, columns, O/4] of
// vec4 over channels, where columns is OW rounded up to 4; zeros beyond OW and beyond O.
// Threads: one a vec4; reads up to four elements, writes one vec4.
struct Params { count: u32, outChannels: u32, outHeight: u32, outWidth: u32, columns: u32, channelVectors: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let o = t % p.channelVectors * 4u;
  let ox = t / p.channelVectors % p.columns;
  let row = t / (p.channelVectors * p.columns);
  let oy = row % p.outHeight;
  let n = row / p.outHeight;
  var v = vec4f(0.0);
  if (ox < p.outWidth) {
    for (var k = 0u; k < 4u; k++) { // unroll
      if (o + k < p.outChannels) {
        v[k] = dy[((n * p.outChannels + o + k) * p.outHeight + oy) * p.outWidth + ox];
      }
    }
  }
  y[t] = v;
}
