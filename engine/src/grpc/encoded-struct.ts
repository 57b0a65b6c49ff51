import protobuf, { type BinaryWriter } from "google-protobuf";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import type { Struct, Value } from "google-protobuf/google/protobuf/struct_pb.js";
import { decodeStruct, encodeStruct, type Json, type JsonMap } from "./struct-codec.ts";

/**
 * A `google.protobuf.Struct` that holds its bytes. The protobuf library makes an object and several arrays of every
 * value of a Struct, which takes most of a run's time where resources are large (a chart's CRDs have tens of thousands
 * of values). This one is put into messages in place of the library's and writes the same bytes.
 */
export class EncodedStruct extends struct.Struct {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  static of(map: JsonMap): EncodedStruct {
    return new EncodedStruct(encodeStruct(map));
  }

  /** What the library's serializer writes. */
  override getFieldsMap(): protobuf.Map<string, Value> {
    return new EncodedFields(this.#bytes);
  }

  override toJavaScript(): ReturnType<Struct["toJavaScript"]> {
    return this.decode();
  }

  /** The map. @throws {StructCodingError} where the bytes are no Struct */
  decode(): Record<string, Json> {
    return decodeStruct(this.#bytes);
  }
}

class EncodedFields extends protobuf.Map<string, Value> {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super([]);
    this.#bytes = bytes;
  }

  override getLength(): number {
    return this.#bytes.length;
  }

  override serializeBinary(_field: number, writer: BinaryWriter): void {
    writer.writeSerializedMessage(this.#bytes, 0, this.#bytes.length);
  }
}

/** The map that a Struct of either kind holds. */
export function mapOf(message: Struct): Record<string, Json> {
  return message instanceof EncodedStruct ? message.decode() : message.toJavaScript();
}
