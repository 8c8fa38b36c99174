// What the adapter can multiply and add: sixteen independent chains of fused multiply-adds a thread, in registers.
// A thread does 2 * 16 * STEPS operations, reads nothing and writes one number.

const STEPS = 1024u;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = 0.999f + f32(id.x & 1u) * 0.0001f;
  let start = f32(id.x);
  var a = vec4f(start, start + 1f, start + 2f, start + 3f);
  var b = a + 4f;
  var c = a + 8f;
  var d = a + 12f;
  for (var i = 0u; i < STEPS; i++) {
    a = fma(a, vec4f(m), vec4f(0.5f));
    b = fma(b, vec4f(m), vec4f(0.5f));
    c = fma(c, vec4f(m), vec4f(0.5f));
    d = fma(d, vec4f(m), vec4f(0.5f));
  }
  let s = a + b + c + d;
  y[id.x] = s.x + s.y + s.z + s.w;
}
