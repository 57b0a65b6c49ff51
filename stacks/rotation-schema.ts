import { z } from "zod";
import { dnsLabel } from "./formats";

const interval = z.int().min(1).max(365);

const times = <Interval extends z.ZodType>(intervalDays: Interval, graceHours: number, automatic: boolean) => ({
  automatic: z.boolean().default(automatic).describe("Rotates by itself when due; else only on request."),
  intervalDays,
  graceHours: z
    .number()
    .min(0.01)
    .max(720)
    .default(graceHours)
    .describe("How long old and new are both valid once everybody uses the new one, in hours, or a part of one."),
});

const rotationClass = (
  intervalDays: number,
  graceHours: number,
  automatic: boolean,
  about: string,
): z.ZodPrefault<typeof shape> => {
  const longest = interval.default(intervalDays).describe("Longest age of a value, in days.");
  const shape = z.strictObject(times(longest, graceHours, automatic));
  return shape.prefault({}).describe(about);
};

const authorityLongest = interval
  .optional()
  .describe("Longest age of an authority that signs, in days. Default: two thirds of `vault.pki.intermediateDays`.");

const authorityClass = z
  .strictObject({
    ...times(authorityLongest, 48, true),
    trustHours: z
      .number()
      .min(0)
      .max(720)
      .default(24)
      .describe("How long applications have to load the bundle with the next one before proxies sign by it, in hours."),
  })
  .prefault({})
  .describe("The authority of the egress proxies, which applications trust.");

const rotationRequest = z.strictObject({
  kind: z.enum(["rotate", "rollback", "adopt"]).describe("What to do: a new value, the previous one, or take over."),
  id: dnsLabel(40).describe("A name of this request; each is carried out once."),
  reason: z.string().min(3).max(200).describe("Why, for the audit log."),
});

/** When secrets change: `tokenshield:rotation`. */
export const rotation = z.strictObject({
  classes: z
    .strictObject({
      database: rotationClass(90, 24, true, "Database accounts."),
      api: rotationClass(30, 2, true, "Keys of the platform's own clients."),
      jwt: rotationClass(180, 48, true, "Session signing keys."),
      bump: authorityClass,
      encryption: rotationClass(365, 168, false, "Key-encryption and data keys; rotated on request only."),
    })
    .prefault({}),
  requests: z
    .record(
      z.string().regex(/^[a-z0-9-]+\/(api|bump|database|encryption|jwt)$/, { error: "<tenant>/<class>" }),
      rotationRequest,
    )
    .default({})
    .describe("Requests by `<tenant>/<class>`."),
});

/** Longest age of an egress authority that signs, in days, where the settings leave it open. */
export function authorityInterval(intermediateDays: number): number {
  return Math.floor((intermediateDays * 2) / 3);
}
