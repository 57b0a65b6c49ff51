import type { Row, SqlValue } from "./ports.ts";

/** A column has another type than the schema says: a defect of a query. */
function unexpected(name: string, wanted: string): TypeError {
  return new TypeError(`column ${name} isn't ${wanted}`);
}

/** A text column that is never null. */
export function text(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== "string") throw unexpected(name, "text");
  return value;
}

/** A number column that is never null; counts and booleans too. */
export function number(row: Row, name: string): number {
  const value = typeof row[name] === "string" ? Number(row[name]) : row[name];
  if (typeof value !== "number" || !Number.isFinite(value)) throw unexpected(name, "a number");
  return value;
}

/** A BOOLEAN column. */
export const truth = (row: Row, name: string): boolean => number(row, name) !== 0;

/** A DATETIME column that is never null. */
export function date(row: Row, name: string): Date {
  const value = row[name];
  if (!(value instanceof Date)) throw unexpected(name, "a time");
  return value;
}

/** A binary column that is never null. */
export function bytes(row: Row, name: string): Buffer {
  const value = row[name];
  if (!Buffer.isBuffer(value)) throw unexpected(name, "binary");
  return value;
}

/** Reads a column that may be null: undefined in its place. */
export function optional<T>(read: (row: Row, name: string) => T, row: Row, name: string): T | undefined {
  return row[name] === null || row[name] === undefined ? undefined : read(row, name);
}

/** A JSON column that holds a list of texts. */
export function texts(row: Row, name: string): readonly string[] {
  const value: unknown = typeof row[name] === "string" ? JSON.parse(row[name]) : row[name];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw unexpected(name, "a list of texts");
  return value;
}

/** `?, ?, ?` for as many values. */
export const places = (values: readonly SqlValue[]): string => values.map(() => "?").join(", ");
