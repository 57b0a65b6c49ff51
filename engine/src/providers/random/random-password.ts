import { randomBytes } from "node:crypto";
import bcrypt from "bcryptjs";
import { diffProperties } from "../protocol/diff.ts";
import type { CheckFailure } from "../protocol/provider.ts";
import type { ResourceType } from "../protocol/typed-provider.ts";
import { Secret, UNKNOWN, Unknown, annotateSecrets, withoutSecrets } from "../protocol/value.ts";
import type { PropertyMap, PropertyValue } from "../protocol/value.ts";
import { generatePassword } from "./generate.ts";
import type { PasswordOptions } from "./generate.ts";

const switches = ["upper", "lower", "number", "numeric", "special"] as const;
const minimums = ["minUpper", "minLower", "minNumeric", "minSpecial"] as const;
const inputNames: ReadonlySet<string> = new Set(["length", "keepers", "overrideSpecial", ...switches, ...minimums]);
/** The bridge's note of the Terraform schema's version, without which the real provider would migrate the state. */
const meta = JSON.stringify({ schema_version: "3" });

/**
 * `random:index/randomPassword:RandomPassword` as in pulumi-random 4.21: `result` and `bcryptHash` are secrets, the id
 * is `none`, and every change of an option or a keeper makes a new password.
 */
export const randomPassword: ResourceType = {
  check({ news }) {
    const failures = Object.keys(news)
      .filter((key) => !inputNames.has(key) && !key.startsWith("__"))
      .map((property): CheckFailure => ({ property, reason: "RandomPassword has no such property" }));
    return { inputs: news, failures: [...failures, ...refusals(withDefaults(news))] };
  },

  diff({ olds, news, ignoreChanges }) {
    return diffProperties(comparable(olds), comparable(news), { replaces: () => true, ignoreChanges });
  },

  async create({ inputs, preview }) {
    const properties = outputs(inputs);
    if (preview) {
      const unknown = new Secret(UNKNOWN);
      return { id: "", properties: { ...properties, result: unknown, bcryptHash: unknown } };
    }
    const result = generatePassword(passwordOptions(inputs));
    return { id: "none", properties: { ...properties, id: "none", ...(await secrets(result)) } };
  },

  update({ olds, inputs }) {
    const { result = null, bcryptHash = null } = olds;
    return Promise.resolve({ ...outputs(inputs), id: "none", result: secret(result), bcryptHash: secret(bcryptHash) });
  },

  /** Nothing can drift. Without a state the id is a password to take over, as in `pulumi import`. */
  async read({ id, properties, inputs }) {
    if (id === "") {
      // A create that was cut off left nothing anywhere.
      return undefined;
    }
    if (properties["result"] !== undefined) {
      return { id, properties, inputs };
    }
    const imported: PropertyMap = { length: Array.from(id).length };
    return { id: "none", properties: { ...outputs(imported), id: "none", ...(await secrets(id)) }, inputs: imported };
  },

  delete() {
    return Promise.resolve();
  },
};

function secret(value: PropertyValue): Secret {
  return value instanceof Secret ? value : new Secret(value);
}

async function secrets(result: string): Promise<PropertyMap> {
  // bcrypt reads 72 bytes at most; the real provider cuts there too, at cost 10 and with the prefix 2a.
  const head = Buffer.from(result).subarray(0, 72);
  const salt = `$2a$10$${bcrypt.encodeBase64([...randomBytes(16)], 16)}`;
  return { result: new Secret(result), bcryptHash: new Secret(await bcrypt.hash(head.toString("utf8"), salt)) };
}

/** Inputs with the defaults of the Terraform schema; `number` and `numeric` are one switch under two names. */
function withDefaults(inputs: PropertyMap): PropertyMap {
  const plain = withoutSecrets(inputs) as PropertyMap;
  const numeric = plain["numeric"] ?? plain["number"] ?? true;
  const number = plain["number"] ?? numeric;
  const defaults = { upper: true, lower: true, special: true, minUpper: 0, minLower: 0, minNumeric: 0, minSpecial: 0 };
  const given = Object.entries(plain).filter(([key, value]) => inputNames.has(key) && value !== null);
  return { ...defaults, ...Object.fromEntries(given), number, numeric };
}

/** The state without what was generated. */
function outputs(inputs: PropertyMap): PropertyMap {
  return { __meta: meta, ...annotateSecrets(withDefaults(inputs), inputs) };
}

/** What decides whether there must be a new password: no empty override, no keepers without a value. */
function comparable(properties: PropertyMap): PropertyMap {
  const { overrideSpecial = "", keepers = {}, ...rest } = withDefaults(properties);
  const kept = Object.entries(keepers as PropertyMap).filter(([, value]) => value !== null);
  return {
    ...rest,
    ...(overrideSpecial === "" ? {} : { overrideSpecial }),
    ...(kept.length === 0 ? {} : { keepers: keepers instanceof Unknown ? UNKNOWN : Object.fromEntries(kept) }),
  };
}

function passwordOptions(inputs: PropertyMap): PasswordOptions {
  const all = withDefaults(inputs);
  return { overrideSpecial: "", ...(all as unknown as Omit<PasswordOptions, "overrideSpecial">) };
}

function refusals(options: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const wrongType = (property: string, expected: string): void => {
    failures.push({ property, reason: `expected ${expected}` });
  };
  for (const property of switches.filter((key) => !isKnown(options[key], "boolean"))) {
    wrongType(property, "true or false");
  }
  for (const property of minimums.filter((key) => !isKnown(options[key], "number"))) {
    wrongType(property, "a whole number");
  }
  const { length = null } = options;
  if (!(length instanceof Unknown) && (typeof length !== "number" || !Number.isInteger(length) || length < 1)) {
    wrongType("length", "a whole number of at least 1");
  }
  const required = minimums.reduce((sum, key) => sum + numberOr0(options[key]), 0);
  if (typeof length === "number" && length < required) {
    wrongType(
      "length",
      `at least the sum of minUpper, minLower, minNumeric and minSpecial, ${required}, given ${length}`,
    );
  }
  const { number, numeric } = options;
  if (typeof number === "boolean" && typeof numeric === "boolean" && number !== numeric) {
    wrongType("number", "the same value as numeric, which replaces it");
  }
  if (switches.every((key) => options[key] === false)) {
    wrongType("special", "at least one of special, upper, lower and numeric to be true");
  }
  return failures;
}

function isKnown(value: PropertyValue | undefined, type: "boolean" | "number"): boolean {
  return value instanceof Unknown || (typeof value === type && (type !== "number" || Number.isInteger(value)));
}

function numberOr0(value: PropertyValue | undefined): number {
  return typeof value === "number" ? value : 0;
}
