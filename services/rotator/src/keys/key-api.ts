import { Agent, fetch } from "undici";
import { z } from "zod";
import type { Trust } from "../consumers/index.ts";
import { RotatorError } from "../core/index.ts";

const key = z.object({
  key_id: z.string(),
  key_type: z.enum(["KEK", "DEK"]),
  version: z.number().int(),
  status: z.enum(["active", "rotating", "retired", "compromised"]),
  kek_version: z.number().int().optional(),
  wrapped_deks: z.number().int().optional(),
  cards_encrypted: z.number().int().optional(),
});
const keys = z.object({ keys: z.array(key), total: z.number().int() });
const rotation = z.object({
  rotation_id: z.string(),
  key_type: z.enum(["KEK", "DEK", "both"]),
  status: z.enum(["in_progress", "completed", "failed", "cancelled"]),
  phase: z.enum(["requested", "rewrapping", "rewrapped", "reencrypting", "done"]),
  kek_version_before: z.number().int().optional(),
});
const rotations = z.object({ rotations: z.array(rotation) });

/** One key of the tokenizer; counts where its kind has them. */
export type KeyFacts = z.output<typeof key>;

/** A rotation that somebody asked the tokenizer for. */
export type KeyRotation = z.output<typeof rotation>;

/**
 * The tokenizer's management API as far as keys go, by mutual TLS: who calls is known by the certificate. No key is in
 * any answer, wrapped or not.
 */
export class KeyApi {
  readonly #base: string;
  readonly #trust: Trust;
  readonly #timeout: number;

  /** @param timeout milliseconds of one request */
  constructor(base: string, trust: Trust, timeout: number) {
    this.#base = base;
    this.#trust = trust;
    this.#timeout = timeout;
  }

  /** The newest rotation; undefined where there was none. @throws RotatorError `KEYS` */
  async newestRotation(): Promise<KeyRotation | undefined> {
    return (await this.#ask("GET", "/api/v1/keys/rotations?limit=1", rotations)).rotations[0];
  }

  /** Every version of the key-encryption key, with how many keys it wraps. @throws RotatorError `KEYS` */
  wrapping(): Promise<readonly KeyFacts[]> {
    return this.#all("KEK");
  }

  /** Every data key, with how many cards it encrypts, which the database counts. @throws RotatorError `KEYS` */
  dataKeys(): Promise<readonly KeyFacts[]> {
    return this.#all("DEK");
  }

  /**
   * Has a new data key made, and older rows encrypted anew in the background.
   *
   * @param once names the wish: asked again within a day, it is the same one
   * @throws RotatorError `KEYS`, also while another rotation runs
   */
  async rotateDataKey(once: string): Promise<void> {
    await this.#ask("POST", "/api/v1/keys/rotate", z.unknown(), { key_type: "DEK", reencrypt: true }, once);
  }

  /** Has the tokenizer open every key that it has, and wrap one anew. Changes nothing. @throws RotatorError `KEYS` */
  async opensAll(): Promise<void> {
    await this.#ask("POST", "/api/v1/keys/rotate", z.unknown(), { dry_run: true });
  }

  async #all(type: "KEK" | "DEK"): Promise<readonly KeyFacts[]> {
    const found: KeyFacts[] = [];
    for (;;) {
      const page = await this.#ask("GET", `/api/v1/keys?key_type=${type}&limit=100&offset=${found.length}`, keys);
      found.push(...page.keys);
      if (page.keys.length === 0 || found.length >= page.total) return found;
    }
  }

  /** For one request, so that no open connection outlives a run. */
  #agent(): Agent {
    const { ca, certificate, key: own } = this.#trust;
    return new Agent({
      connect: {
        timeout: this.#timeout,
        ...(ca === undefined ? {} : { ca }),
        ...(certificate === undefined ? {} : { cert: certificate }),
        ...(own === undefined ? {} : { key: own }),
      },
    });
  }

  async #ask<Kind>(
    method: "GET" | "POST",
    path: string,
    kind: z.ZodType<Kind>,
    body?: object,
    once?: string,
  ): Promise<Kind> {
    let answer: { readonly status: number; readonly text: string };
    const agent = this.#agent();
    try {
      const got = await fetch(new URL(path, this.#base), {
        method,
        dispatcher: agent,
        redirect: "error",
        signal: AbortSignal.timeout(this.#timeout),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(once === undefined ? {} : { "idempotency-key": once }),
        },
      });
      answer = { status: got.status, text: await got.text() };
    } catch (error) {
      throw new RotatorError("KEYS", `the tokenizer gave no answer for ${path}`, { cause: error });
    } finally {
      await agent.destroy();
    }
    if (answer.status !== 200) {
      throw new RotatorError(
        "KEYS",
        `the tokenizer answered ${method} ${path} with status ${answer.status}${said(answer.text)}`,
      );
    }
    const read = kind.safeParse(parsed(answer.text));
    if (read.success) return read.data;
    throw new RotatorError("KEYS", `the tokenizer's answer for ${path} is not as its document says`);
  }
}

const failure = z.object({ error: z.string() });

/** What an error says; the API's errors hold no value. */
function said(text: string): string {
  const read = failure.safeParse(parsed(text));
  return read.success ? `: ${read.data.error}` : "";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
