import assert from "node:assert/strict";
import { ApiUnderTest } from "../api-client.ts";
import { type Platform, startPlatform } from "../platform.ts";

export const visa = "4111111111111111";
export const amex = "378282246310005";
export const year = new Date().getFullYear() + 2;
export const base64 = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");

/** Answer of the bulk call. */
export interface Tokenized {
  readonly results: readonly { readonly status: string; readonly token: string; readonly code?: string }[];
  readonly succeeded: number;
  readonly failed: number;
}

interface Started {
  readonly platform: Platform;
  readonly api: ApiUnderTest;
  readonly admin: string;
  readonly operator: string;
  readonly viewer: string;
}

/** One API with its servers, and a session of each role. Usable once `start` is done. */
export class Lab {
  #started: Started | undefined;

  async start(context: Mocha.Context): Promise<void> {
    const platform = await startPlatform(context);
    const api = await ApiUnderTest.start(platform);
    const admin = await api.admin();
    const operator = await api.user(admin, "olga", { role: "operator" });
    const viewer = await api.user(admin, "vera");
    this.#started = { platform, api, admin, operator, viewer };
  }

  async stop(): Promise<void> {
    await this.#started?.api.stop();
    await this.#started?.platform.stop();
  }

  get api(): ApiUnderTest {
    return this.#get().api;
  }

  get platform(): Platform {
    return this.#get().platform;
  }

  get admin(): string {
    return this.#get().admin;
  }

  get operator(): string {
    return this.#get().operator;
  }

  get viewer(): string {
    return this.#get().viewer;
  }

  #get(): Started {
    if (this.#started === undefined) throw new Error("the lab has not started");
    return this.#started;
  }
}

/** Stores cards as the operator; gives their tokens. */
export async function tokenize(lab: Lab, ...numbers: readonly string[]): Promise<readonly string[]> {
  const items = numbers.map((number) => ({ card_number: number }));
  const got = await lab.api.call<Tokenized>("tokenizeBulk", { session: lab.operator, body: { items } });
  assert.equal(got.status, 200, got.text);
  return got.body.results.map(({ token }) => token);
}
