// The tape: one node for each operation applied while a derivative is being taken. Nodes form a graph without cycles
// (a node refers to its inputs, never to what was made of it), so counting references frees it exactly. What a value is
// the tape need not know.

/** What a derivative rule is given about the operation it belongs to. */
export interface Applied<Value> {
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** Which inputs' cotangents are asked for; the others may be left undefined. */
  readonly needs: readonly boolean[];
}

/** Cotangents of the inputs from that of the output. */
export type Rule<Value> = (cotangent: Value, applied: Applied<Value>) => readonly (Value | undefined)[];

/** What made a value. */
export interface Maker<Value> {
  readonly name: string;
  readonly rule: Rule<Value>;
}

export interface TapeNode<Value> {
  /** Order of creation: inputs always have smaller numbers. */
  readonly id: number;
  /** Undefined for a leaf. */
  readonly maker: Maker<Value> | undefined;
  /** Handles that belong to the node: they keep what the derivative needs alive. */
  readonly inputs: readonly Value[];
  /** The result, without its node: a rule may want the value. */
  result: Value | undefined;
  references: number;
}

let created = 0;

export function createNode<Value>(
  maker: Maker<Value> | undefined,
  inputs: readonly Value[],
): TapeNode<Value> {
  return { id: created++, maker, inputs, result: undefined, references: 0 };
}

export function retainNode<Value>(node: TapeNode<Value>): void {
  node.references++;
}

export function releaseNode<Value extends { dispose(): void }>(first: TapeNode<Value>): void {
  if (--first.references > 0) return;
  first.result?.dispose();
  for (const input of first.inputs) input.dispose();
}
