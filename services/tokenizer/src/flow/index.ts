export { ByteBudget, type HeldBody, readBody } from "./budget.ts";
export { headerValue, type Message, type RawHeaders } from "./message.ts";
export { Revealing, type RevealingParts, type SlotReleaser, type Unresolved } from "./revealing.ts";
export { asRefusal, retrySeconds, type SlotKeeper, Tokenizing, type TokenizingParts } from "./tokenizing.ts";
export { printablePath } from "./printable-path.ts";
