import { CsvError, parse } from "csv-parse/sync";
import { z } from "zod";
import { ApiError } from "./errors.ts";

/** Most records of one import. */
export const mostRecords = 10_000;

/** One record as it came. Its fields are checked one record at a time, so that a bad one fails alone. */
export type RawRecord = Readonly<Record<string, unknown>>;

const malformed = (what: string): ApiError => new ApiError(400, "BAD_REQUEST", what);

/**
 * Reads the records of an import.
 *
 * @param data base64 of a JSON array, or of CSV as in RFC 4180 with a header row
 * @throws ApiError 400; its text holds nothing of the data
 */
export function importRecords(format: "json" | "csv", data: string): readonly RawRecord[] {
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(data)) throw malformed("data is not base64");
  const text = decoded(Buffer.from(data, "base64"));
  const records = format === "json" ? fromJson(text) : fromCsv(text);
  if (records.length === 0) throw malformed("data holds no record");
  if (records.length > mostRecords) throw malformed(`data holds more than ${mostRecords} records`);
  return records;
}

function decoded(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw malformed("data is not UTF-8");
  }
}

const object = z.record(z.string(), z.unknown());

function fromJson(text: string): readonly RawRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which may be a card number.
    throw malformed("data is not JSON");
  }
  const list = z.array(z.unknown()).safeParse(value);
  if (!list.success) throw malformed("data is not a JSON array");
  return list.data.map((record) => object.safeParse(record).data ?? {});
}

const needed = ["card_number", "expiry_month", "expiry_year"];

function fromCsv(text: string): readonly RawRecord[] {
  let rows: readonly RawRecord[];
  try {
    rows = parse(text, {
      bom: true,
      columns: (header: readonly string[]) => header.map((name) => name.trim().toLowerCase()),
      skip_empty_lines: true,
      trim: true,
      to: mostRecords + 1,
    });
  } catch (error) {
    if (error instanceof CsvError)
      throw malformed("data is not CSV as in RFC 4180 with as many fields in each row as in the first");
    throw error;
  }
  const [first] = rows;
  const missing = first === undefined ? [] : needed.filter((name) => !Object.hasOwn(first, name));
  if (missing.length > 0) throw malformed(`the header row lacks ${missing.join(", ")}`);
  return rows.map((row) => ({
    ...row,
    expiry_month: numeral(row["expiry_month"]),
    expiry_year: numeral(row["expiry_year"]),
  }));
}

/** CSV knows texts only. */
const numeral = (value: unknown): unknown =>
  typeof value === "string" && /^\d{1,4}$/.test(value) ? Number(value) : value;
