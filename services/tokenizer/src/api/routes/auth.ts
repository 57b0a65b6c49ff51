import { z } from "zod";
import { AccountError, type Login, type User } from "../../accounts/index.ts";
import { type AuthFailure, mayHoldPan } from "../../telemetry/index.ts";
import { sessionCookie } from "../admission.ts";
import { ApiError } from "../errors.ts";
import { type Call, known, ok, open, type Operation } from "../operation.ts";
import { bearer, bodyOf, clientAddress, cookie, header } from "../request.ts";
import { userAnswer } from "../shapes.ts";

const loginBody = z.object({ username: z.string().min(1).max(255), password: z.string().min(1).max(128) });
const changeBody = z.object({ current_password: z.string().min(1).max(128), new_password: z.string().max(1000) });

/** Sessions and the own password. */
export function authOperations(parts: {
  readonly login: Login;
  readonly authFailure: (kind: AuthFailure) => void;
}): readonly Operation[] {
  const { login, authFailure } = parts;
  return [
    {
      id: "login",
      method: "POST",
      path: "/api/v1/auth/login",
      guard: open,
      maxBody: 1024,
      handle: async (call) => {
        const { username, password } = bodyOf(call.request, loginBody);
        const opened = await login.login(username, password, originOf(call)).catch((error: unknown) => {
          count(error, authFailure);
          throw error;
        });
        return {
          ...ok({
            session_id: opened.sessionId,
            user: userAnswer(opened.user),
            expires_at: opened.expiresAt.toISOString(),
            require_password_change: opened.user.mustChangePassword,
          }),
          headers: { "set-cookie": cookieText(call, opened.sessionId, opened.expiresAt) },
        };
      },
    },
    {
      id: "logout",
      method: "POST",
      path: "/api/v1/auth/logout",
      guard: open,
      handle: async (call) => {
        const id = bearer(call.request) ?? cookie(call.request, sessionCookie);
        if (id !== undefined) await login.logout(id, originOf(call));
        return { ...ok({ message: "Logged out" }), headers: { "set-cookie": cookieText(call, "", new Date(0)) } };
      },
    },
    {
      id: "getCurrentUser",
      method: "GET",
      path: "/api/v1/auth/me",
      guard: { kind: "session", effect: "read" },
      handle: (call) => {
        const user = userOf(call);
        return Promise.resolve(ok({ ...userAnswer(user), require_password_change: user.mustChangePassword }));
      },
    },
    {
      id: "changePassword",
      method: "POST",
      path: "/api/v1/auth/change-password",
      guard: { kind: "session", effect: "write" },
      maxBody: 1024,
      handle: async (call) => {
        const body = bodyOf(call.request, changeBody);
        const { session } = known(call);
        const keep = session === undefined ? [] : [session];
        try {
          await login.changePassword(userOf(call), body.current_password, body.new_password, keep, call.actor);
        } catch (error) {
          count(error, authFailure);
          const wrong = error instanceof AccountError && error.fault === "invalid-credentials";
          // Not 401: the dashboard would take it for the end of the session.
          throw wrong ? new ApiError(400, "INVALID_CREDENTIALS", error.message) : error;
        }
        return ok({ message: "Password changed" });
      },
    },
  ];
}

function userOf(call: Call): User {
  const { user } = known(call);
  if (user === undefined) throw new ApiError(401, "AUTHENTICATION_REQUIRED", "Authentication required");
  return user;
}

function originOf(call: Call): { ip: string; userAgent: string } {
  const agent = header(call.request, "user-agent") ?? "";
  return { ip: clientAddress(call.request), userAgent: mayHoldPan(agent) ? "" : agent.slice(0, 255) };
}

function count(error: unknown, authFailure: (kind: AuthFailure) => void): void {
  if (!(error instanceof AccountError)) return;
  if (error.fault === "invalid-credentials") authFailure("password");
  if (error.fault === "rate-limited") authFailure("rate_limit");
}

function cookieText(call: Call, value: string, expires: Date): string {
  const secure = call.request.protocol === "https" ? "; Secure" : "";
  return `${sessionCookie}=${value}; Path=/; HttpOnly; SameSite=Lax; Expires=${expires.toUTCString()}${secure}`;
}
