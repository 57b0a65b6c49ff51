import { KeysUnavailable, StoreUnavailable } from "../../src/core/errors.ts";
import { Pan } from "../../src/core/pan.ts";
import type { Caller, Cards, NewCard, RevealedCard, TokenizedCard } from "../../src/core/ports.ts";
import { binaryTypes, cardType, noRules, panMatcher } from "../../src/detect/index.ts";
import { Revealing, Tokenizing } from "../../src/flow/index.ts";
import { makeSlot, makeToken, tokenMatcher } from "../../src/tokens/index.ts";

/** A card store in memory, with switches for its failures, and a record of who asked. */
export class MemoryCards implements Pick<Cards, "tokenize" | "reveal"> {
  readonly stored = new Map<string, string>();
  readonly slots = new Map<string, string>();
  readonly callers: Caller[] = [];
  readonly purposes: string[] = [];
  fault: "none" | "store" | "keys" = "none";

  #check(): void {
    if (this.fault === "store") throw new StoreUnavailable(new Error("down"));
    if (this.fault === "keys") throw new KeysUnavailable("down");
  }

  async tokenize(cards: readonly NewCard[], caller: Caller): Promise<readonly TokenizedCard[]> {
    await Promise.resolve();
    this.#check();
    if (cards.length > 0) this.callers.push(caller);
    return cards.map(({ pan }) => {
      const token = makeToken("prefix");
      this.stored.set(token, pan.digits());
      return { token, status: "created", cardType: cardType(pan.digits()), lastFour: pan.lastFour() };
    });
  }

  async reveal(
    tokens: readonly string[],
    caller: Caller,
    purpose: string,
  ): Promise<readonly (RevealedCard | undefined)[]> {
    await Promise.resolve();
    this.#check();
    this.callers.push(caller);
    this.purposes.push(purpose);
    return tokens.map((token) => {
      const pan = Pan.from(this.stored.get(token) ?? "");
      return pan && { pan, cardType: "Visa", lastFour: pan.lastFour(), expiryMonth: null, expiryYear: null };
    });
  }

  async keep(codes: readonly string[]): Promise<readonly string[]> {
    await Promise.resolve();
    return codes.map((code) => {
      const slot = makeSlot();
      this.slots.set(slot, code);
      return slot;
    });
  }

  async release(slot: string): Promise<string | undefined> {
    await Promise.resolve();
    const code = this.slots.get(slot);
    this.slots.delete(slot);
    return code;
  }

  /** A token of the card, stored as if it had come in before. */
  put(digits: string, token = makeToken("prefix")): string {
    this.stored.set(token, digits);
    return token;
  }
}

export function flows(
  cards: MemoryCards,
  limit: number,
  cvv: "refuse" | "slot" = "refuse",
): { readonly tokenizing: Tokenizing; readonly revealing: Revealing } {
  const inbound = { matcher: panMatcher, allow: noRules, cvv, binary: binaryTypes, unknown: "refuse" } as const;
  const outbound = {
    matcher: tokenMatcher,
    allow: noRules,
    cvv: "ignore",
    binary: binaryTypes,
    unknown: "search",
  } as const;
  return {
    tokenizing: new Tokenizing({ cards, slots: cards, rules: inbound, limit }),
    revealing: new Revealing({ cards, slots: cards, rules: outbound, limit }),
  };
}
