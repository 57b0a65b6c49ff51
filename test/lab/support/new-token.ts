import assert from "node:assert/strict";
import type { ServiceProcess } from "../../../services/tokenizer/test/lab/service-process.ts";

/** Stores cards by the management API of a tokenizer that was just started. @returns the token of each */
export async function newTokens(tokenizer: ServiceProcess, cards: readonly string[]): Promise<readonly string[]> {
  const password = "Some-Password-1";
  const body = { username: "payer", email: "payer@example.com", password, role: "operator" };
  const admin = { "x-admin-secret": "emergency-secret-of-the-process" };
  assert.equal((await tokenizer.call("POST", "/api/v1/users", body, admin)).status, 201);
  const opened = await tokenizer.call("POST", "/api/v1/auth/login", { username: "payer", password });
  const { session_id: session } = JSON.parse(opened.text) as { session_id: string };
  const items = cards.map((card) => ({ card_number: card }));
  const made = await tokenizer.call("POST", "/api/v1/tokenize", { items }, { authorization: `Bearer ${session}` });
  const { results } = JSON.parse(made.text) as { results: readonly { token: string }[] };
  return results.map(({ token }) => token);
}

/** The same with one card. */
export async function newToken(tokenizer: ServiceProcess, card: string): Promise<string> {
  const [token = ""] = await newTokens(tokenizer, [card]);
  return token;
}
