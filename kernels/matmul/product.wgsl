// Batched product through workgroup memory: y [batch, M, N] with y[b, i, j] = scale * sum over k of A(b, i, k) * B(b, k, j),
// for devices whose workgroups share fast memory. What A and B are is said by the file before this one, which has Params,
// the buffers and four functions: `aLine` and `bLine` find where a row of A and a column of B begin, `aAt` and `bAt` read
// their element k. Where `biased`, bias[i] is added to row i (biased = 1) or bias[j] to column j (2), of which there are as
// many for each of the `pieces` that batches come in; then see epilogue.wgsl. A long K goes in parts and blocks, as in
// matmul-tiled.wgsl.
// Threads: a workgroup computes 4 * THREADS_M rows x 4 * THREADS_N columns. For each STEP of k its threads bring both
// factors' parts into workgroup memory, neighbours reading neighbours: along k where A_ALONG_K (B_ALONG_K), else along the
// rows (columns). Then each reads 2 vec4 of them for 16 multiply-adds, its four rows THREADS_M apart and its four columns
// THREADS_N apart, so that neighbours write neighbours too.
const THREADS_M = 8u;
const THREADS_N = 8u;
const STEP = 16u;
const A_LOADS = 2u; // STEP / THREADS_N
const B_LOADS = 2u; // STEP / THREADS_M
const A_ALONG_K = 1u;
const B_ALONG_K = 0u;
const TOTALS = 0u; // 4, where sums of `block` terms are to be added up

// A vec4 more than a step needs, so that threads which write along k do not wait for one another.
const A_PITCH = THREADS_M + 1u;
const B_PITCH = THREADS_N + 1u;
var<workgroup> aPart: array<vec4f, STEP * A_PITCH>;
var<workgroup> bPart: array<vec4f, STEP * B_PITCH>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = groupIndex(group);
  if (t >= p.count) { return; }
  let column = t % p.tilesN * 4u * THREADS_N;
  let row = t / p.tilesN % p.tilesM * 4u * THREADS_M;
  let plane = t / (p.tilesN * p.tilesM);
  let batch = plane % p.batch;
  let first = plane / p.batch * p.chunk;
  let last = min(first + p.chunk, p.k);

  // The lines that this thread brings, and the first k of a step.
  let aThread = select(lane % THREADS_M, lane / THREADS_N, A_ALONG_K == 1u);
  let aStep = select(lane / THREADS_M, lane % THREADS_N, A_ALONG_K == 1u);
  let bThread = select(lane % THREADS_N, lane / THREADS_M, B_ALONG_K == 1u);
  let bStep = select(lane / THREADS_N, lane % THREADS_M, B_ALONG_K == 1u);
  var aLines: array<u32, 4>;
  var bLines: array<Place, 4>;
  for (var e = 0u; e < 4u; e++) { // unroll
    aLines[e] = aLine(batch, row + aThread + e * THREADS_M);
    bLines[e] = bLine(batch, column + bThread + e * THREADS_N);
  }
  let tm = lane / THREADS_N;
  let tn = lane % THREADS_N;

  var sums: array<vec4f, 4>;
  var totals: array<vec4f, TOTALS + 1u>;
  for (var block = first; block < last; block += p.block) {
    let end = min(block + p.block, last);
    for (var start = block; start < end; start += STEP) {
      for (var l = 0u; l < A_LOADS; l++) { // unroll
        let s = aStep + l * THREADS_N;
        let k = aPlace(start + s);
        let u = vec4f(aAt(aLines[0], k), aAt(aLines[1], k), aAt(aLines[2], k), aAt(aLines[3], k));
        aPart[s * A_PITCH + aThread] = select(vec4f(0.0), u, start + s < end);
      }
      for (var l = 0u; l < B_LOADS; l++) { // unroll
        let s = bStep + l * THREADS_M;
        let k = bPlace(start + s);
        let v = vec4f(bAt(bLines[0], k), bAt(bLines[1], k), bAt(bLines[2], k), bAt(bLines[3], k));
        bPart[s * B_PITCH + bThread] = select(vec4f(0.0), v, start + s < end);
      }
      workgroupBarrier();
      for (var s = 0u; s < STEP; s++) { // unroll
        let u = aPart[s * A_PITCH + tm];
        let v = bPart[s * B_PITCH + tn];
        for (var e = 0u; e < 4u; e++) { // unroll
          sums[e] = fma(vec4f(u[e]), v, sums[e]);
        }
      }
      workgroupBarrier();
    }
    for (var q = 0u; q < TOTALS; q++) { // unroll
      totals[q] += sums[q];
      sums[q] = vec4f(0.0);
    }
  }
  for (var q = 0u; q < TOTALS; q++) { // unroll
    sums[q] = totals[q];
  }

  // One row at a time, the others moving up, so that the code for writing is there once: it is long to compile.
  let piece = batch % p.pieces;
  for (var i = row + tm; i < min(row + 4u * THREADS_M, p.m); i += THREADS_M) {
    for (var e = 0u; e < 4u; e++) { // unroll
      let j = column + tn + e * THREADS_N;
      if (j < p.n) {
        let at = (plane * p.m + i) * p.n + j;
        let shift = select(0.0, bias[select(piece * p.m + i, piece * p.n + j, p.biased == 2u)], p.biased != 0u);
        y[at] = finished(vec4f(fma(sums[0][e], p.scale, shift)), at).x;
      }
    }
    for (var q = 0u; q < 3u; q++) { // unroll
      sums[q] = sums[q + 1u];
    }
  }
}
