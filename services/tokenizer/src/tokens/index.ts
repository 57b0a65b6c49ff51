export { makeSlot, makeToken } from "./make.ts";
export { isSlot, isToken, tokenMatcher } from "./recognise.ts";
