import { luhnCheckDigit } from "../src/core/pan.ts";

/** Card numbers that the brands publish for tests; no account stands behind them. */
export const testPans = {
  visa: "4111111111111111",
  visa13: "4222222222222",
  visa19: "4000001234567890124",
  mastercard: "5555555555554444",
  mastercard2: "2223003122003222",
  amex: "378282246310005",
  diners: "30569309025904",
  discover: "6011111111111117",
  jcb: "3530111333300000",
  unionPay: "6200000000000005",
  maestro: "6759649826438453",
} as const;

/** A card number of a brand: `prefix`, digits made from `seed`, check digit. */
export function madePan(prefix: string, length: number, seed: number): string {
  let state = seed >>> 0;
  let payload = prefix;
  while (payload.length < length - 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    payload += ((state >>> 16) % 10).toString();
  }
  return `${payload}${luhnCheckDigit(payload)}`;
}

/** The digits in groups of the sizes given, the rest in a last group. */
export function grouped(digits: string, sizes: readonly number[], separator: string): string {
  const groups: string[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at + size >= digits.length) break;
    groups.push(digits.slice(at, at + size));
    at += size;
  }
  groups.push(digits.slice(at));
  return groups.join(separator);
}
