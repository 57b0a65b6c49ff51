import type { FastifyRequest } from "fastify";
import {
  allows,
  type Authentication,
  type Authenticator,
  type Permission,
  type Principal,
  type RequestLimiter,
} from "../accounts/index.ts";
import type { Audit } from "../core/ports.ts";
import { peerSubject } from "../core/peers.ts";
import type { AuthFailure } from "../telemetry/index.ts";
import { ApiError } from "./errors.ts";
import type { Guard, Operation } from "./operation.ts";
import { bearer, clientAddress, cookie, header } from "./request.ts";

/** Name of the session's cookie. */
export const sessionCookie = "session_id";

/** What admission needs of the rest. */
export interface AdmissionParts {
  readonly authenticator: Authenticator;
  readonly audit: Audit;
  readonly perAddress: RequestLimiter;
  readonly perKey: RequestLimiter;
  /** Origins of other sites that may call with the cookie. */
  readonly origins: readonly string[];
  readonly authFailure: (kind: AuthFailure) => void;
}

const required = (): ApiError => new ApiError(401, "AUTHENTICATION_REQUIRED", "Authentication required");

/** Decides whether a request may go on: who calls, may the caller do this, and how often. */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Counts a request of an address. Runs before anything else. */
  countAddress(request: FastifyRequest): void {
    this.#limited(this.#parts.perAddress.count(clientAddress(request)));
  }

  /**
   * Finds out who calls, and whether that is enough for the operation.
   *
   * @throws ApiError 401, 403, 429; StoreUnavailable
   */
  async admit(operation: Operation, request: FastifyRequest): Promise<Principal | undefined> {
    const { guard } = operation;
    if (guard.kind === "public") return undefined;
    const principal = this.#accepted(guard, await this.#authenticate(guard, request));
    if (principal.kind === "api-key" || principal.kind === "platform-client") {
      this.#limited(this.#parts.perKey.count(principal.name));
    }
    if (guard.effect === "write" && principal.kind === "cookie") this.#checkOrigin(request);
    if (guard.kind === "permission") {
      if (!allows(principal.granted, guard.permission))
        await this.#forbid(operation, guard.permission, principal, request);
      const isSession = principal.kind === "session" || principal.kind === "cookie";
      if (isSession && guard.effect === "write" && principal.user?.mustChangePassword === true) {
        throw new ApiError(403, "PASSWORD_CHANGE_REQUIRED", "The password must be changed first", {
          details: "POST /api/v1/auth/change-password",
        });
      }
    }
    return principal;
  }

  async #authenticate(guard: Exclude<Guard, { kind: "public" }>, request: FastifyRequest): Promise<Authentication> {
    const credentials = {
      apiKey: header(request, "x-api-key"),
      bearer: bearer(request),
      cookie: cookie(request, sessionCookie),
      adminSecret: header(request, "x-admin-secret"),
      subject: peerSubject(request.raw.socket),
      ip: clientAddress(request),
    };
    const works = guard.kind === "permission" && guard.accepts.includes("admin-secret") ? "here" : "elsewhere";
    return this.#parts.authenticator.authenticate(credentials, works);
  }

  #accepted(guard: Exclude<Guard, { kind: "public" }>, found: Authentication): Principal {
    if (found.outcome === "none") throw required();
    if (found.outcome === "refused") {
      this.#parts.authFailure(found.kind);
      if (found.expired) throw new ApiError(401, "SESSION_EXPIRED", "The session has ended; log in again");
      throw new ApiError(401, "INVALID_CREDENTIALS", "The credential is not valid");
    }
    const { principal } = found;
    const way = principal.kind === "platform-client" ? "api-key" : principal.kind;
    const accepts: readonly string[] = guard.kind === "session" ? ["session", "cookie"] : guard.accepts;
    if (!accepts.includes(way)) throw required();
    return principal;
  }

  async #forbid(
    operation: Operation,
    permission: Permission,
    principal: Principal,
    request: FastifyRequest,
  ): Promise<never> {
    await this.#parts.audit.append([
      {
        action: "access.denied",
        actor: principal.name,
        sourceIp: clientAddress(request),
        resourceType: "operation",
        resourceId: operation.id,
        result: "denied",
        details: { permission },
      },
    ]);
    throw new ApiError(403, "FORBIDDEN", "You do not have the permission for this", { details: `needs ${permission}` });
  }

  /** A browser sends the cookie by itself, so the page that makes it do so must be one of ours. */
  #checkOrigin(request: FastifyRequest): void {
    const origin = header(request, "origin");
    const own = `${request.protocol}://${request.host}`;
    if (origin === undefined || (origin !== own && !this.#parts.origins.includes(origin))) {
      throw new ApiError(403, "FORBIDDEN", "A change with the cookie alone needs an Origin header of an allowed site");
    }
  }

  #limited(wait: number): void {
    if (wait === 0) return;
    this.#parts.authFailure("rate_limit");
    throw new ApiError(429, "RATE_LIMITED", "Too many requests", { retryAfter: wait });
  }
}
