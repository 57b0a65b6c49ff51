import { z } from "zod";
import type { AuditEvent, Audit, KeyState, KeyType, Keys, RotationOutcome } from "../../core/ports.ts";
import { ApiError } from "../errors.ts";
import { type Answer, type Call, ok, type Operation, reading, writing } from "../operation.ts";
import { bodyOf, pageOf, query } from "../request.ts";
import { keyDetailAnswer, keyInfoAnswer, rotationAnswer } from "../shapes.ts";

const keyTypes: readonly KeyType[] = ["KEK", "DEK"];
const keyStates: readonly KeyState[] = ["active", "rotating", "retired", "compromised"];
const rotateBody = z.object({
  key_type: z.enum(["KEK", "DEK", "both"]).default("DEK"),
  reencrypt: z.boolean().default(false),
  dry_run: z.boolean().default(false),
});

/** A filter from a closed list; what isn't on it matches nothing that exists, so it is left out as if it weren't sent. */
const oneOf = <T extends string>(list: readonly T[], value: string | undefined): T | undefined =>
  list.find((item) => item === value);

/**
 * Encryption keys: facts, history, rotation.
 *
 * @param patience how long a call waits for the rotator, milliseconds
 */
export function keyOperations(keys: Keys, audit: Audit, patience: number): readonly Operation[] {
  return [
    {
      id: "listKeys",
      method: "GET",
      path: "/api/v1/keys",
      guard: reading("keys.rotate", "certificate"),
      handle: async ({ request }) => {
        const keyType = oneOf(keyTypes, query(request, "key_type"));
        const status = oneOf(keyStates, query(request, "status"));
        const filter = { ...(keyType === undefined ? {} : { keyType }), ...(status === undefined ? {} : { status }) };
        const found = await keys.list(filter, pageOf(request, 100));
        return ok({ keys: found.keys.map(keyDetailAnswer), total: found.total });
      },
    },
    {
      id: "getKeyStatus",
      method: "GET",
      path: "/api/v1/keys/status",
      guard: reading("keys.rotate", "certificate"),
      handle: async () => {
        const { kek, dek } = await keys.status();
        return ok({ kek: keyInfoAnswer(kek), dek: keyInfoAnswer(dek) });
      },
    },
    {
      id: "rotateKeys",
      method: "POST",
      path: "/api/v1/keys/rotate",
      guard: writing("keys.rotate", "certificate"),
      maxBody: 1024,
      idempotency: "by-key",
      handle: async (call) => {
        const body = bodyOf(call.request, rotateBody);
        await audit.append([
          event(call, "key.rotation_request", "success", { key_type: body.key_type, dry_run: body.dry_run }),
        ]);
        const outcome = await keys.requestRotation(
          {
            keyType: body.key_type,
            reencrypt: body.reencrypt ? "background" : "no",
            mode: body.dry_run ? "dry-run" : "rotate",
            initiatedBy: call.caller.actor,
          },
          patience,
        );
        if (outcome.status === "failed") {
          await audit.append([event(call, "key.rotation_request", "failure", { rotation: outcome.rotationId })]);
        }
        return rotationStarted(outcome, body.key_type, body.dry_run ? "dry-run" : "rotate");
      },
    },
    {
      id: "listKeyRotations",
      method: "GET",
      path: "/api/v1/keys/rotations",
      guard: reading("keys.rotate", "certificate"),
      handle: async ({ request }) => {
        const found = await keys.rotations(pageOf(request, 50, 100).limit);
        return ok({ rotations: found.rotations.map(rotationAnswer), total: found.total });
      },
    },
  ];
}

function event(call: Call, action: string, result: AuditEvent["result"], details: AuditEvent["details"]): AuditEvent {
  const { actor, sourceIp } = call.caller;
  return { action, actor, sourceIp, resourceType: "key", resourceId: "", result, details };
}

/** What is answered: 200 done, 202 recorded and followed by its id, 500 failed. */
function rotationStarted(outcome: RotationOutcome, requested: string, mode: "rotate" | "dry-run"): Answer {
  const facts = { rotation_id: outcome.rotationId, rotated_keys: outcome.rotatedKeys, requested_type: requested };
  if (outcome.status === "failed") {
    throw new ApiError(500, "INTERNAL", "The rotation failed; the previous keys stay in force", {
      body: { ...facts, status: "failed", errors: outcome.errors },
    });
  }
  const done = outcome.status === "completed";
  const message = !done
    ? "Recorded; the rotator carries it out. Follow it in /api/v1/keys/rotations"
    : mode === "dry-run"
      ? "Nothing was changed; a rotation would work"
      : "Rotated";
  return ok(
    {
      ...facts,
      status: "completed",
      message,
      errors: outcome.errors,
      new_keys: outcome.newKeys.map(keyDetailAnswer),
      deks_rewrapped: outcome.deksRewrapped,
      reencryption: outcome.reencryption,
    },
    done ? 200 : 202,
  );
}
