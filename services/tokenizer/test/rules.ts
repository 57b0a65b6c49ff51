import { Refusal, type RefusalReason } from "../src/core/errors.ts";
import { binaryTypes, inspectBody, type InspectRules, noRules, panMatcher, rewrite } from "../src/detect/index.ts";
import { tokenMatcher } from "../src/tokens/index.ts";

export const inbound: InspectRules = {
  matcher: panMatcher,
  allow: noRules,
  cvv: "refuse",
  binary: binaryTypes,
  unknown: "refuse",
};
export const outbound: InspectRules = {
  matcher: tokenMatcher,
  allow: noRules,
  cvv: "ignore",
  binary: binaryTypes,
  unknown: "search",
};

/** What is found in a body of text, in its normal form. */
export function found(body: string, type: string | undefined, rules: InspectRules = inbound): readonly string[] {
  return inspectBody(Buffer.from(body), type, rules).map(({ text }) => text);
}

/** The body with `replacement` (a token or a card number) in the place of each finding. */
export function replaced(body: string, type: string, replacement: string, rules: InspectRules = inbound): string {
  const bytes = Buffer.from(body);
  const findings = inspectBody(bytes, type, rules);
  return Buffer.from(
    rewrite(
      bytes,
      findings,
      findings.map(() => replacement),
    ),
  ).toString();
}

/** The reason for which a body is refused, undefined if it isn't. */
export function refusal(
  body: string | Buffer,
  type: string | undefined,
  rules: InspectRules = inbound,
): RefusalReason | undefined {
  try {
    inspectBody(Buffer.from(body), type, rules);
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
}
