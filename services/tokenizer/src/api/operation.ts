import type { FastifyReply, FastifyRequest } from "fastify";
import type { Actor, Permission, Principal } from "../accounts/index.ts";
import type { Caller } from "../core/ports.ts";

/** Who may call an operation. */
export type Guard =
  | { readonly kind: "public" }
  /** Any live session; below /api/v1/auth, so it works while a password must be changed. */
  | { readonly kind: "session"; readonly effect: "read" | "write" }
  | {
      readonly kind: "permission";
      readonly permission: Permission;
      readonly effect: "read" | "write";
      /** Ways to show who calls; the rest count as no credential. */
      readonly accepts: readonly ("session" | "cookie" | "api-key" | "certificate" | "admin-secret")[];
    };

/** A request that was let in. */
export interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Undefined for public operations. */
  readonly principal: Principal | undefined;
  /** For changes of accounts. */
  readonly actor: Actor;
  /** For activity and audit rows of cards. */
  readonly caller: Caller;
}

/** What is sent back. A string goes out as it is. */
export interface Answer {
  readonly status: number;
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One operation of the API document. */
export interface Operation {
  /** The document's operationId; the label `operation` of the metrics. */
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** In the router's form, `/api/v1/users/:username`. */
  readonly path: string;
  readonly guard: Guard;
  /** Larger bodies get 413. Bytes. */
  readonly maxBody?: number;
  /** Calls that run at the same time; more get 503. For bodies that need much memory. */
  readonly maxParallel?: number;
  /** Whether the header Idempotency-Key works. */
  readonly idempotency?: "by-key";
  readonly handle: (call: Call) => Promise<Answer>;
}

const everybody = ["session", "cookie", "api-key"] as const;

/** A guard for an operation that only looks. */
export const reading = (permission: Permission, ...more: readonly "certificate"[]): Guard => ({
  kind: "permission",
  permission,
  effect: "read",
  accepts: [...everybody, ...more],
});

/** A guard for an operation that changes something. */
export const writing = (permission: Permission, ...more: readonly ("admin-secret" | "certificate")[]): Guard => ({
  kind: "permission",
  permission,
  effect: "write",
  accepts: [...everybody, ...more],
});

export const open: Guard = { kind: "public" };

export const ok = (body: object, status = 200): Answer => ({ status, body });

/** The principal of an operation whose guard asks for one. */
export function known(call: Call): Principal {
  if (call.principal === undefined) throw new Error("an operation without a guard asked who calls");
  return call.principal;
}
