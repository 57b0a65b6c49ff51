import { z } from "zod";
import { dnsLabel, dnsName } from "./formats";

/** Settings of the secrets that belong to a tenant's application: delivered and reminded of, never generated. */

/** The rotation classes whose interval says how old such a secret may be. */
export const secretClasses = ["api", "database", "jwt", "encryption"] as const;

/**
 * Names of groups that the platform itself keeps below a tenant's path in Vault. What is added to its catalog has to be
 * added here; a test compares them.
 */
const reservedGroup =
  /^(admin|bump|bump_.*|database_.*|encryption|encryption_.*|jwt|rotation|api_(backup|cli|dashboard))$/;

/** Tells whether a name is one of the platform's own groups. */
export function isReservedGroup(name: string): boolean {
  return reservedGroup.test(name);
}

const field = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,59}$/, { error: "a name of letters, digits and underscores" })
    .describe("Key of the value in its entry."),
  file: dnsLabel(80)
    .optional()
    .describe("File that holds the value. Default: the name in lower case, with hyphens for underscores."),
});

/** One group of a tenant's application secrets: one entry of the store. */
export const applicationSecretGroup = z.strictObject({
  group: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,39}$/, { error: "a name of lower-case letters, digits and underscores" })
    .refine((name) => !isReservedGroup(name), { error: "a name that isn't one of the platform's own groups" })
    .describe("Name of the entry, which its path ends with."),
  fields: z.array(field).min(1).describe("The values of the entry."),
  optional: z
    .boolean()
    .default(false)
    .describe(
      "Whether pods start without it. Optional groups are mounted apart, once an update has seen their values.",
    ),
  class: z.enum(secretClasses).default("api").describe("Rotation class, whose interval says when a new value is due."),
  intervalDays: z.int().min(1).max(365).optional().describe("Longest age, in days. Default: that of the class."),
  syncTo: dnsName()
    .optional()
    .describe(
      "Name of a Kubernetes Secret that gets a copy while a pod mounts the files. Default: none, as a copy lies in etcd; " +
        "the policy pack wants an exemption for it.",
    ),
});

/** How a stack keeps and delivers its tenants' application secrets. */
export const applicationSecrets = z
  .strictObject({
    provider: z
      .enum(["vault", "aws"])
      .default("vault")
      .describe("Where the values are: `vault`, beside the platform's own, or `aws`, in Secrets Manager."),
    identity: z
      .enum(["irsa", "pod-identity"])
      .default("irsa")
      .describe("How pods get their role in AWS: by the cluster's OIDC provider, or by EKS Pod Identity."),
    eksCluster: z
      .string()
      .regex(/^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$/, { error: "the name of an EKS cluster" })
      .optional()
      .describe("Name of the cluster in EKS. Needed where `identity` is `pod-identity`."),
  })
  .superRefine(({ identity, eksCluster }, context) => {
    if (identity === "pod-identity" && eksCluster === undefined) {
      context.addIssue({ code: "custom", path: ["eksCluster"], message: "a name, as identity is pod-identity" });
    }
    if (identity === "irsa" && eksCluster !== undefined) {
      context.addIssue({ code: "custom", path: ["eksCluster"], message: "nothing, as identity is irsa" });
    }
  });

/** One group of a tenant's application secrets, checked, with defaults. */
export type ApplicationSecretGroup = z.output<typeof applicationSecretGroup>;

/** A file of the optional class that is always there, so that pods start before any optional group has a value. */
export const accountFile = "account";

/** The file of a field. */
export function fileOf({ name, file }: ApplicationSecretGroup["fields"][number]): string {
  return (
    file ??
    name
      .toLowerCase()
      .replaceAll("_", "-")
      .replace(/^-+|-+$/g, "")
  );
}
