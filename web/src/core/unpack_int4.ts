/**
 * TFLite files with packed INT4 weights, unpacked to INT8 with the same codes: LiteRT.js has fast kernels for those.
 * Works on the flatbuffer itself; numbers of fields and types are those of TensorFlow Lite's schema.fbs, version 3.
 */

import { UserError } from "./failure";

const [MODEL_SUBGRAPHS, MODEL_BUFFERS, SUBGRAPH_TENSORS, TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, BUFFER_DATA] = [2, 4, 0, 0, 1, 2, 0];
const [INT8, INT4] = [9, 17];
const ALIGNMENT = 16;

/** The content with INT8 tensors in place of INT4 ones; `name` is what messages call the file. */
export function unpackInt4(content: Uint8Array, name: string): Uint8Array {
  try {
    return new Unpacking(content).run();
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(`${name}: damaged, no TFLite file. Copy the whole folder again.`);
    throw error;
  }
}

class Unpacking {
  private readonly out: Uint8Array;
  private readonly view: DataView;
  private end: number;
  private readonly moved = new Map<number, number>(); // from old to new places of vectors

  constructor(private readonly content: Uint8Array) {
    this.out = new Uint8Array(3 * content.length + 64 * ALIGNMENT); // every byte may become two, and vectors are aligned
    this.out.set(content);
    this.view = new DataView(this.out.buffer);
    this.end = content.length;
  }

  run(): Uint8Array {
    const model = this.follow(0);
    const buffers = this.items(this.field(model, MODEL_BUFFERS));
    for (const subgraph of this.items(this.field(model, MODEL_SUBGRAPHS))) {
      for (const tensor of this.items(this.field(subgraph, SUBGRAPH_TENSORS))) this.unpack(tensor, buffers);
    }
    return this.moved.size ? this.out.slice(0, this.end) : this.content;
  }

  private unpack(tensor: number, buffers: number[]): void {
    const type = this.field(tensor, TENSOR_TYPE);
    if (!type || this.view.getInt8(type) !== INT4) return;
    this.view.setInt8(type, INT8);
    const place = this.field(buffers[this.view.getUint32(this.field(tensor, TENSOR_BUFFER), true)], BUFFER_DATA);
    if (!place) return;
    const packed = this.follow(place);
    const unpacked = this.moved.get(packed) ?? this.append(packed, this.count(tensor));
    this.moved.set(packed, unpacked).set(unpacked, unpacked);
    this.view.setUint32(place, unpacked - place, true);
  }

  /** Writes the `count` codes of a packed vector behind everything else; the low half of a byte comes first. */
  private append(packed: number, count: number): number {
    const data = Math.ceil((this.end + 4) / ALIGNMENT) * ALIGNMENT;
    const vector = data - 4;
    if (count > 2 * this.content.length) throw new RangeError("a tensor larger than the file");
    this.view.setUint32(vector, count, true);
    for (let code = 0; code < count; code++) {
      const byte = this.view.getInt8(packed + 4 + (code >> 1));
      this.view.setInt8(data + code, code & 1 ? byte >> 4 : (byte << 28) >> 28);
    }
    this.end = data + count;
    return vector;
  }

  private count(tensor: number): number {
    const shape = this.follow(this.field(tensor, TENSOR_SHAPE));
    let product = 1;
    for (let axis = 0; axis < this.view.getUint32(shape, true); axis++) product *= this.view.getInt32(shape + 4 + 4 * axis, true);
    return product;
  }

  /** Where a table keeps a field; 0 if it has none. */
  private field(table: number, number: number): number {
    const list = table - this.view.getInt32(table, true);
    const entry = 4 + 2 * number;
    const offset = entry < this.view.getUint16(list, true) ? this.view.getUint16(list + entry, true) : 0;
    return offset && table + offset;
  }

  private follow(place: number): number {
    return place + this.view.getUint32(place, true);
  }

  /** The tables in a vector of tables. */
  private items(place: number): number[] {
    if (!place) return [];
    const vector = this.follow(place);
    const length = this.view.getUint32(vector, true);
    if (length > this.content.length) throw new RangeError("a vector larger than the file");
    return Array.from({ length }, (_, item) => this.follow(vector + 4 + 4 * item));
  }
}
