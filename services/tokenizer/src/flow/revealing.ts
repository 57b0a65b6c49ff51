import { Refusal } from "../core/errors.ts";
import type { Caller, Cards } from "../core/ports.ts";
import type { InspectRules } from "../detect/index.ts";
import { isSlot } from "../tokens/index.ts";
import { type Message, Searched } from "./message.ts";
import { asRefusal } from "./tokenizing.ts";

/** Releases a verification code once. */
export interface SlotReleaser {
  release(slot: string): Promise<string | undefined>;
}

export interface RevealingParts {
  readonly cards: Pick<Cards, "reveal">;
  readonly slots: SlotReleaser;
  readonly rules: InspectRules;
  readonly limit: number;
}

/** What to do with tokens that can't be turned back: the message is refused, or they stay. */
export type Unresolved = "refuse" | "leave";

/** Tokens to card numbers, for requests to gateways on the ICAP port and for authorised routes of the HTTP port. */
export class Revealing {
  readonly #parts: RevealingParts;

  constructor(parts: RevealingParts) {
    this.#parts = parts;
  }

  /**
   * The message with its tokens turned back; the same object if there is none, or none that can be.
   *
   * @param authorise called once, before anything is revealed and only if there is a token; throws Refusal if it may not be
   * @throws Refusal if it isn't authorised, can't be searched, or (`refuse`) holds a token that is unknown, revoked or expired
   */
  async apply(
    message: Message,
    caller: Caller,
    purpose: string,
    unresolved: Unresolved,
    authorise: () => void | Promise<void>,
  ): Promise<Message> {
    const { cards, slots, rules, limit } = this.#parts;
    try {
      const searched = await Searched.search(message, rules, limit);
      if (searched.findings.length === 0) return message;
      await authorise();
      const texts = searched.findings.map(({ text }) => text);
      const tokens = [...new Set(texts.filter((text) => !isSlot(text)))];
      const shown = await cards.reveal(tokens, caller, purpose);
      const values = new Map(tokens.map((token, index) => [token, shown[index]?.pan.digits()]));
      if (unresolved === "refuse" && tokens.some((token) => values.get(token) === undefined)) throw unknownToken();
      // Slots last: a message that is refused for a token must not use them up.
      for (const slot of new Set(texts.filter(isSlot))) values.set(slot, await slots.release(slot));
      if (unresolved === "refuse" && texts.some((text) => values.get(text) === undefined)) throw unknownToken();
      return await searched.replace(texts.map((text) => values.get(text) ?? text));
    } catch (error) {
      throw asRefusal(error) ?? error;
    }
  }
}

function unknownToken(): Refusal {
  return new Refusal("policy", 422, "the message holds a token that is unknown, revoked or expired");
}
