/** A value of JSON, which is what a protobuf `Value` can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** A map of JSON, which is what a protobuf `Struct` holds. */
export type JsonMap = Readonly<Record<string, Json>>;

/** Bytes that are no `google.protobuf.Struct`. */
export class StructCodingError extends Error {
  readonly code = "damaged-struct";
  constructor(what: string) {
    super(`a message's properties can't be read: ${what}`);
    this.name = "StructCodingError";
  }
}

// Tags of `google/protobuf/struct.proto`: field number and wire type in one byte.
const tags = {
  /** `Struct.fields`, `ListValue.values`, and a map entry's key. */
  first: 0x0a,
  /** A map entry's value. */
  second: 0x12,
  nullValue: 0x08,
  numberValue: 0x11,
  stringValue: 0x1a,
  boolValue: 0x20,
  structValue: 0x2a,
  listValue: 0x32,
} as const;

/**
 * Writes a message from its end to its beginning, so that the length of each part is known when it must be written
 * and every byte is written once.
 */
class BackwardWriter {
  #buffer: Buffer;
  #start: number;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
    this.#start = size;
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#buffer.length - this.#start;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[--this.#start] = value;
  }

  varint(value: number): void {
    if (value < 0x80) {
      this.byte(value);
      return;
    }
    const groups: number[] = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 0x80)) groups.push(rest % 0x80);
    for (let index = groups.length - 1; index >= 0; index -= 1) {
      this.byte((groups[index] ?? 0) | (index === groups.length - 1 ? 0 : 0x80));
    }
  }

  double(value: number): void {
    this.#reserve(8);
    this.#start -= 8;
    this.#buffer.writeDoubleLE(value, this.#start);
  }

  /** A text with its length and the tag before it. */
  text(tag: number, value: string): void {
    const size = Buffer.byteLength(value);
    this.#reserve(size);
    this.#start -= size;
    this.#buffer.write(value, this.#start, size, "utf8");
    this.varint(size);
    this.byte(tag);
  }

  #reserve(size: number): void {
    if (this.#start >= size) return;
    const grown = Buffer.allocUnsafe(2 * this.#buffer.length + size);
    const start = grown.length - this.length;
    this.#buffer.copy(grown, start, this.#start);
    this.#buffer = grown;
    this.#start = start;
  }
}

/** A map as the bytes of a `google.protobuf.Struct`, as the protobuf library would write them. */
export function encodeStruct(map: JsonMap): Uint8Array {
  const writer = new BackwardWriter(1024);
  writeMap(map, writer);
  return writer.bytes();
}

function writeMap(map: JsonMap, writer: BackwardWriter): void {
  const keys = Object.keys(map);
  for (let index = keys.length - 1; index >= 0; index -= 1) {
    const key = keys[index] ?? "";
    const end = writer.length;
    const before = writer.length;
    writeValue(map[key] ?? null, writer);
    writer.varint(writer.length - before);
    writer.byte(tags.second);
    writer.text(tags.first, key);
    writer.varint(writer.length - end);
    writer.byte(tags.first);
  }
}

function writeValue(value: Json, writer: BackwardWriter): void {
  if (typeof value === "string") writer.text(tags.stringValue, value);
  else if (typeof value === "number") {
    writer.double(value);
    writer.byte(tags.numberValue);
  } else if (typeof value === "boolean") {
    writer.byte(value ? 1 : 0);
    writer.byte(tags.boolValue);
  } else if (value === null) {
    writer.byte(0);
    writer.byte(tags.nullValue);
  } else writeComposite(value, writer);
}

function writeComposite(value: JsonMap | readonly Json[], writer: BackwardWriter): void {
  const before = writer.length;
  const isList = Array.isArray(value);
  if (isList) writeList(value as readonly Json[], writer);
  else writeMap(value as JsonMap, writer);
  writer.varint(writer.length - before);
  writer.byte(isList ? tags.listValue : tags.structValue);
}

function writeList(list: readonly Json[], writer: BackwardWriter): void {
  for (let index = list.length - 1; index >= 0; index -= 1) {
    const before = writer.length;
    writeValue(list[index] ?? null, writer);
    writer.varint(writer.length - before);
    writer.byte(tags.first);
  }
}

/** Reads forwards; fields that `struct.proto` doesn't have are passed over. */
export class ForwardReader {
  readonly #buffer: Buffer;
  position: number;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = 0;
  }

  get size(): number {
    return this.#buffer.length;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.#buffer[this.position++];
      if (byte === undefined || factor > 0x80 ** 9) throw new StructCodingError("a number doesn't end");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  /** The end of a part that begins with its length. */
  end(): number {
    const length = this.varint();
    const end = this.position + length;
    if (end > this.#buffer.length) throw new StructCodingError("it ends too early");
    return end;
  }

  double(): number {
    if (this.position + 8 > this.#buffer.length) throw new StructCodingError("it ends too early");
    const value = this.#buffer.readDoubleLE(this.position);
    this.position += 8;
    return value;
  }

  text(): string {
    const end = this.end();
    const value = this.#buffer.toString("utf8", this.position, end);
    this.position = end;
    return value;
  }

  bytes(end: number): Uint8Array {
    const value = this.#buffer.subarray(this.position, end);
    this.position = end;
    return value;
  }

  /** Passes over a field of which the tag has been read. */
  skip(tag: number): void {
    const wireType = tag & 7;
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.position += 8;
    else if (wireType === 2) this.position = this.end();
    else if (wireType === 5) this.position += 4;
    else throw new StructCodingError(`wire type ${wireType} is unknown`);
    if (this.position > this.#buffer.length) throw new StructCodingError("it ends too early");
  }
}

/**
 * Reads the bytes of a `google.protobuf.Struct`.
 *
 * @throws {StructCodingError} where they are none
 */
export function decodeStruct(bytes: Uint8Array): Record<string, Json> {
  const reader = new ForwardReader(bytes);
  return readMap(reader, reader.size);
}

function readMap(reader: ForwardReader, end: number): Record<string, Json> {
  const map: Record<string, Json> = {};
  while (reader.position < end) {
    const tag = reader.varint();
    if (tag === tags.first) readEntry(reader, map);
    else reader.skip(tag);
  }
  return map;
}

function readEntry(reader: ForwardReader, map: Record<string, Json>): void {
  const end = reader.end();
  let key = "";
  let value: Json = null;
  while (reader.position < end) {
    const tag = reader.varint();
    if (tag === tags.first) key = reader.text();
    else if (tag === tags.second) value = readValue(reader, reader.end());
    else reader.skip(tag);
  }
  setOwn(map, key, value);
}

function readValue(reader: ForwardReader, end: number): Json {
  let value: Json = null;
  while (reader.position < end) {
    const tag = reader.varint();
    switch (tag) {
      case tags.nullValue:
        reader.varint();
        value = null;
        break;
      case tags.numberValue:
        value = reader.double();
        break;
      case tags.stringValue:
        value = reader.text();
        break;
      case tags.boolValue:
        value = reader.varint() !== 0;
        break;
      case tags.structValue:
        value = readMap(reader, reader.end());
        break;
      case tags.listValue:
        value = readList(reader, reader.end());
        break;
      default:
        reader.skip(tag);
    }
  }
  return value;
}

function readList(reader: ForwardReader, end: number): Json[] {
  const list: Json[] = [];
  while (reader.position < end) {
    const tag = reader.varint();
    if (tag === tags.first) list.push(readValue(reader, reader.end()));
    else reader.skip(tag);
  }
  return list;
}

/** Sets a key of a map, `__proto__` too, which a plain assignment would take for the prototype. */
export function setOwn<Value>(map: Record<string, Value>, key: string, value: Value): void {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  } else map[key] = value;
}
