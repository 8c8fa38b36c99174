// The factors of a matrix product for product.wgsl, wherever they lie: batch b is piece b % pieces of whole b / pieces, and
// A(b, i, k) and B(b, k, j) are where the strides say, in elements.
struct Params {
  count: u32, batch: u32, pieces: u32, m: u32, n: u32, k: u32, chunk: u32, block: u32, tilesM: u32, tilesN: u32,
  aFirst: u32, aWhole: u32, aPiece: u32, aRow: u32, aColumn: u32,
  bFirst: u32, bWhole: u32, bPiece: u32, bRow: u32, bColumn: u32, scale: f32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

alias Place = u32;

fn aLine(batch: u32, i: u32) -> u32 {
  return p.aFirst + batch / p.pieces * p.aWhole + batch % p.pieces * p.aPiece + i * p.aRow;
}
fn aPlace(k: u32) -> u32 { return k * p.aColumn; }
fn aAt(line: u32, k: u32) -> f32 { return a[line + k]; }

fn bLine(batch: u32, j: u32) -> Place {
  return p.bFirst + batch / p.pieces * p.bWhole + batch % p.pieces * p.bPiece + j * p.bColumn;
}
fn bPlace(k: u32) -> Place { return k * p.bRow; }
fn bAt(line: Place, k: Place) -> f32 { return b[line + k]; }
