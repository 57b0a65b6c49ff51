import { nameOf } from "../model/resource.ts";
import type { Row } from "./row.ts";

/** What the engine says of a policy, of the CLI's engine events (`pulumi` `sdk/go/common/apitype/events.go`). */
interface PolicyEvent {
  readonly resourceUrn?: string;
  readonly message: string;
  readonly policyName: string;
  readonly enforcementLevel: string;
}

/**
 * The findings among an engine's events.
 * @param stack that the events are of
 * @param output one JSON object a line
 */
export function rowsOf(stack: string, output: string): readonly Row[] {
  return output.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const { policyEvent } = JSON.parse(line) as { readonly policyEvent?: PolicyEvent };
    return policyEvent === undefined ? [] : rowsOfEvent(stack, policyEvent);
  });
}

/** One event tells of one violation, or of everything that a rule couldn't look at. */
function rowsOfEvent(
  stack: string,
  { message, resourceUrn = "", policyName: rule, enforcementLevel }: PolicyEvent,
): Row[] {
  const said = message.trimEnd().split("\n").at(-1) ?? "";
  const unknowns = /during preview: (.*)$/s.exec(message.trimEnd())?.[1];
  if (unknowns !== undefined) {
    return unknowns.split("; ").map((text) => {
      const [name = "", path = "", ...rest] = text.split(": ");
      const urn = resourceUrn === "" || nameOf(resourceUrn) !== name ? `urn:pulumi:${stack}::::::${name}` : resourceUrn;
      return { stack, rule, urn, path, message: rest.join(": "), level: "unknown" };
    });
  }
  const [, path = "", text = said] = /^(\S+): (must .*)$/s.exec(said) ?? [];
  return [
    {
      stack,
      rule,
      urn: resourceUrn,
      path,
      message: text,
      level: enforcementLevel === "advisory" ? "advisory" : "mandatory",
    },
  ];
}
