import { ProviderError } from "../../protocol/errors.ts";
import { isJsonMap } from "../../protocol/value.ts";
import type { Json } from "../../protocol/value.ts";
import { objectsAt, textAt } from "./object.ts";

/** One cause in a refusal: what is wrong with which field. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  /** The field as the server writes it, for instance `spec.ports[0].port`. */
  readonly field: string;
}

/** The API server refused a request (`metav1.Status`). */
export class ApiError extends ProviderError {
  /** HTTP status. */
  readonly status: number;
  /** For instance `NotFound`, `Conflict`, `Invalid`. */
  readonly reason: string;
  readonly causes: readonly Cause[];
  /** The resource that the refusal is about, for instance `namespaces`. */
  readonly subject: string;

  private constructor(message: string, status: number, reason: string, causes: readonly Cause[], subject: string) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.causes = causes;
    this.subject = subject;
  }

  /** @param operation what was asked, for an answer that is no `Status` */
  static of(status: number, body: string, operation: string): ApiError {
    const answer = parseStatus(body);
    const message = textAt(answer, "message");
    const causes = objectsAt(answer, "details", "causes").map((cause) => ({
      reason: textAt(cause, "reason"),
      message: textAt(cause, "message"),
      field: textAt(cause, "field"),
    }));
    return new ApiError(
      message === "" ? `${operation} answered HTTP ${status}` : message,
      status,
      textAt(answer, "reason"),
      causes,
      textAt(answer, "details", "kind"),
    );
  }

  /** An object's kind that the server does not serve. */
  static noMatch(apiVersion: string, kind: string): ApiError {
    return new ApiError(`no matches for kind "${kind}" in version "${apiVersion}"`, 404, "NoMatch", [], kind);
  }

  /** @returns the managers that own the fields of a conflict, with the fields of each */
  conflicts(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    for (const { reason, message, field } of this.causes) {
      const [, manager] = /conflict with "((?:[^"\\]|\\.)*)"/.exec(message) ?? [];
      if (reason === "FieldManagerConflict" && manager !== undefined) {
        found.set(manager, [...(found.get(manager) ?? []), field]);
      }
    }
    return found;
  }

  /** True if fields can't change in place. */
  get isImmutable(): boolean {
    const refusal = /immutable|updates to .* are forbidden|may not (change|be changed|update)|cannot change/i;
    return this.status === 422 && refusal.test(this.message);
  }

  get isNotFound(): boolean {
    return this.status === 404;
  }
}

function parseStatus(body: string): Json | undefined {
  try {
    const answer = JSON.parse(body) as Json;
    return isJsonMap(answer) ? answer : undefined;
  } catch {
    // A proxy in between may answer with HTML; the HTTP status then says it all.
    return undefined;
  }
}

/** The API server gave no answer. */
export class Unreachable extends ProviderError {
  constructor(server: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`the Kubernetes cluster at ${server} can't be reached: ${reason}`, undefined, { cause });
  }
}
