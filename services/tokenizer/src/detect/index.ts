export { AllowRules, noRules } from "./allow.ts";
export { contentCodings, decode, encode } from "./coding.ts";
export type { CvvRule, Finding, Written } from "./findings.ts";
export { inspectBody, inspectHeader, type InspectRules, inspectTarget, looksLikeText, sniffed } from "./inspect.ts";
export { brandOf, cardType } from "./issuers.ts";
export type { Boundary, Emit, Matcher } from "./matcher.ts";
export { binaryTypes, mediaType } from "./media.ts";
export { panMatcher } from "./pans.ts";
export { rewrite, rewriteText } from "./rewrite.ts";
