import { z } from "zod";
import { dnsLabel } from "./formats";

const rotationClass = (
  intervalDays: number,
  graceHours: number,
  automatic: boolean,
  about: string,
): z.ZodPrefault<typeof shape> => {
  const shape = z.strictObject({
    automatic: z.boolean().default(automatic).describe("Rotates by itself when due; else only on request."),
    intervalDays: z.int().min(1).max(365).default(intervalDays).describe("Longest age of a value, in days."),
    graceHours: z
      .number()
      .min(0.01)
      .max(720)
      .default(graceHours)
      .describe("How long old and new are both valid once everybody uses the new one, in hours, or a part of one."),
  });
  return shape.prefault({}).describe(about);
};

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
      encryption: rotationClass(365, 168, false, "Key-encryption and data keys; rotated on request only."),
    })
    .prefault({}),
  requests: z
    .record(
      z.string().regex(/^[a-z0-9-]+\/(database|api|jwt|encryption)$/, { error: "<tenant>/<class>" }),
      rotationRequest,
    )
    .default({})
    .describe("Requests by `<tenant>/<class>`."),
});
