import type { Json, JsonMap } from "../../protocol/value.ts";
import { isJsonMap } from "../../protocol/value.ts";
import { conditionOf, textAt } from "../api/object.ts";
import { isStale, ready, waiting } from "./rule.ts";
import type { Progress, ReadinessRule } from "./rule.ts";

type Step =
  { readonly key: string } | { readonly index: number } | "all" | { readonly where: Step[]; readonly is: string };
type Test = (object: JsonMap) => { readonly met: boolean; readonly awaited: string };

/**
 * The rule of a `pulumi.com/waitFor` annotation: one expression, or a JSON array of which all must hold. An expression
 * is `condition=Type` or `condition=Type=Status`, or `jsonpath={.path}` or `jsonpath={.path}=value`; paths have keys,
 * indices, `[*]` and filters of the form `[?(@.key=="text")]`.
 * @throws Error that names the expression it can't read
 */
export function waitForRule(annotation: string): ReadinessRule {
  const tests = expressionsOf(annotation).map(parseTest);
  return {
    assess({ object }): Progress {
      const open = tests.map((test) => test(object)).filter(({ met }) => !met);
      const awaited = open.map((test) => test.awaited);
      return awaited.length === 0
        ? ready("every condition is met")
        : waiting(`Waiting for ${awaited.join(", ")}`, awaited);
    },
  };
}

function expressionsOf(annotation: string): readonly string[] {
  if (!annotation.trimStart().startsWith("[")) {
    return [annotation];
  }
  const list = JSON.parse(annotation) as unknown;
  if (!Array.isArray(list) || list.length === 0 || list.some((item) => typeof item !== "string")) {
    throw new Error(
      `annotation pulumi.com/waitFor: expected an expression or a JSON array of them, given ${annotation}`,
    );
  }
  return list as string[];
}

function parseTest(expression: string): Test {
  const [, conditionType, status = "True"] = /^condition=([^=]+)(?:=(.+))?$/.exec(expression) ?? [];
  if (conditionType !== undefined) {
    return (object) => {
      const current = textAt(conditionOf(object, conditionType), "status");
      return { met: !isStaleStatus(object) && current.toLowerCase() === status.toLowerCase(), awaited: expression };
    };
  }
  const [, path, value] = /^jsonpath=\{\s*(.+?)\s*\}(?:=(.+))?$/.exec(expression) ?? [];
  if (path === undefined) {
    throw new Error(`annotation pulumi.com/waitFor: expected "condition=…" or "jsonpath={…}", given ${expression}`);
  }
  const steps = parseJsonPath(path);
  return (object) => {
    const [found] = select([object], steps);
    const met = value === undefined ? found !== undefined : isText(found) && String(found) === value;
    const now = isText(found) ? ` (found "${String(found)}")` : "";
    return { met: met && !isStaleStatus(object), awaited: expression + now };
  };
}

/** Only a status that counts generations can be stale. */
function isStaleStatus(object: JsonMap): boolean {
  const status = object["status"];
  return isJsonMap(status) && status["observedGeneration"] !== undefined && isStale(object);
}

function isText(value: Json | undefined): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

function parseJsonPath(path: string): Step[] {
  const steps: Step[] = [];
  const grammar =
    /\$|\.?([\w-]+)|\[(?:'([^']+)'|"([^"]+)"|(\d+)|(\*)|\?\(?\s*@([^=!<>]+?)\s*==\s*["']([^"']*)["']\s*\)?)\]/gy;
  while (grammar.lastIndex < path.length) {
    const start = grammar.lastIndex;
    const match = grammar.exec(path);
    if (match === null) {
      throw new Error(`annotation pulumi.com/waitFor: can't read the path ${path} at position ${start}`);
    }
    const [, key, quoted, doubleQuoted, index, all, where, is] = match;
    const name = key ?? quoted ?? doubleQuoted;
    if (name !== undefined) {
      steps.push({ key: name.replaceAll("\\", "") });
    } else if (index !== undefined) {
      steps.push({ index: Number(index) });
    } else if (all !== undefined) {
      steps.push("all");
    } else if (where !== undefined) {
      steps.push({ where: parseJsonPath(where), is: is ?? "" });
    }
  }
  return steps;
}

function select(values: readonly Json[], steps: readonly Step[]): readonly Json[] {
  return steps.reduce<readonly Json[]>((found, step) => found.flatMap((value) => next(value, step)), values);
}

function next(value: Json, step: Step): readonly Json[] {
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    if (step === "all") {
      return list;
    }
    if ("index" in step) {
      return list.slice(step.index, step.index + 1);
    }
    return "where" in step ? list.filter((element) => select([element], step.where)[0] === step.is) : [];
  }
  if (!isJsonMap(value) || step === "all" || !("key" in step)) {
    return [];
  }
  return Object.hasOwn(value, step.key) ? [value[step.key] ?? null] : [];
}
