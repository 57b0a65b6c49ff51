import { KeysUnavailable, Refusal, StoreUnavailable } from "../core/errors.ts";
import { Pan } from "../core/pan.ts";
import type { Caller, Cards } from "../core/ports.ts";
import { type Finding, type InspectRules } from "../detect/index.ts";
import { type Message, Searched } from "./message.ts";

/** Keeps verification codes for a single release. */
export interface SlotKeeper {
  keep(codes: readonly string[]): Promise<readonly string[]>;
}

export interface TokenizingParts {
  readonly cards: Pick<Cards, "tokenize">;
  readonly slots: SlotKeeper;
  readonly rules: InspectRules;
  /** Bytes that a body may have when its codings are undone. */
  readonly limit: number;
}

/** Seconds that a sender should wait when a dependency is down. */
export const retrySeconds = 5;

/** Turns failures of the store and of the key service into refusals; nothing is forwarded then (data plane, defect 2). */
export function asRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof KeysUnavailable)
    return new Refusal("key", 503, "the key service is not available", retrySeconds);
  if (error instanceof StoreUnavailable)
    return new Refusal("store", 503, "the card store is not available", retrySeconds);
  return undefined;
}

/** Card numbers to tokens, for requests on the HTTP port and responses on the ICAP port. */
export class Tokenizing {
  readonly #parts: TokenizingParts;

  constructor(parts: TokenizingParts) {
    this.#parts = parts;
  }

  /**
   * The message without card numbers, all of which are durable then, and without verification codes. The same object if
   * there was none.
   *
   * @param caller given the searched message's number of findings only once there are some
   * @throws Refusal if any part of it can't be searched or stored; it must not go on then
   */
  async apply(message: Message, caller: () => Caller): Promise<Message> {
    const { cards, slots, rules, limit } = this.#parts;
    try {
      const searched = await Searched.search(message, rules, limit);
      if (searched.findings.length === 0) return message;
      const pans = searched.findings.filter(({ kind }) => kind === "match").map(panOf);
      const codes = searched.findings.filter(({ kind }) => kind === "cvv").map(({ text }) => text);
      const tokens = (
        await cards.tokenize(
          pans.map((pan) => ({ pan })),
          caller(),
        )
      ).map(({ token }) => token);
      const kept = [...(await slots.keep(codes))];
      const replacements = searched.findings.map(({ kind }) => (kind === "match" ? tokens.shift() : kept.shift()));
      if (!replacements.every((text) => text !== undefined))
        throw new Refusal("store", 503, "the card store gave too few tokens", retrySeconds);
      return await searched.replace(replacements);
    } catch (error) {
      throw asRefusal(error) ?? error;
    }
  }
}

function panOf(finding: Finding): Pan {
  const pan = Pan.from(finding.text);
  // Detection gives digits that pass Luhn only; anything else must not be forwarded either.
  if (pan === undefined) throw new Refusal("parse", 400, "a card number in the message is not valid");
  return pan;
}
