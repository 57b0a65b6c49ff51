import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { withFiles } from "../../bin/stacks/settings.js";

const root = join(import.meta.dirname, "../..");

/** The stacks of the project. */
export const stackNames = ["lab", "dev", "staging", "production"] as const;

/** One of `stackNames`. */
export type StackName = (typeof stackNames)[number];

/** What a lab that is up writes of its images, as far as settings need it. */
export const labImages = Object.fromEntries(
  [
    "vault",
    "tokenizer",
    "rotator",
    "ingress-proxy",
    "egress-proxy",
    "mysql",
    "mysql-agent",
    "prometheus",
    "alertmanager",
  ].map((name) => [name, `lab.tokenshield.internal/${name}:0123456789abcdef`]),
);

/** What a lab that is up writes of the authority that signs the gateway's certificate, in form. */
export const labAuthority = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/** The configuration of a stack's file, by key with the project's prefix. */
export function committedConfig(stack: StackName): Record<string, unknown> {
  const text = readFileSync(join(root, "stacks", `Pulumi.${stack}.yaml`), "utf8");
  return (parse(text) as { config: Record<string, unknown> }).config;
}

/** The raw settings of a stack's file, by key without the project's prefix, and with what a lab writes. */
export function rawSettings(stack: StackName): Record<string, unknown> {
  const raw = Object.entries(committedConfig(stack)).map(
    ([key, value]) => [key.replace(/^tokenshield:/, ""), value] as const,
  );
  const read = (path: string): string => (path.endsWith(".json") ? JSON.stringify(labImages) : labAuthority);
  return withFiles(Object.fromEntries(raw), read) as Record<string, unknown>;
}

/** One declared key of `Pulumi.yaml`. */
export interface Declaration {
  readonly type: string;
  readonly description: string;
  readonly default?: unknown;
  readonly items?: { readonly type: string };
}

/** The keys that `Pulumi.yaml` declares. */
export function declaredKeys(): Record<string, Declaration> {
  return (parse(readFileSync(join(root, "Pulumi.yaml"), "utf8")) as { config: Record<string, Declaration> }).config;
}

/** A page of the docs. */
export function page(name: string): string {
  return readFileSync(join(root, "docs", name), "utf8");
}

/** Turns every list and the fields of every object around. */
export function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed).reverse();
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, part]) => [key, reversed(part)]),
  );
}
