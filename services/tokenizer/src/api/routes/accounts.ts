import { z } from "zod";
import { type ApiKeys, builtInName, permissions, roles, type Users } from "../../accounts/index.ts";
import { known, ok, type Operation, reading, writing } from "../operation.ts";
import { bodyOf, parameter, plainText } from "../request.ts";
import { apiKeyAnswer, userAnswer } from "../shapes.ts";

const email = plainText(255)
  .min(5)
  .regex(/^[^@\s]+@[^@\s]+$/, "must be an e-mail address");
const permissionList = z.array(z.enum(permissions));
const createBody = z.object({
  username: plainText(50).regex(/^[a-zA-Z0-9_.-]{3,50}$/, "must have 3 to 50 characters of a-z, A-Z, 0-9, _ . -"),
  email,
  password: z.string().max(1000),
  full_name: plainText(100).optional(),
  role: z.enum(roles).optional(),
  permissions: permissionList.optional(),
  require_password_change: z.boolean().optional(),
});
const updateBody = z
  .object({
    email: email.optional(),
    full_name: plainText(100).optional(),
    role: z.enum(roles).optional(),
    permissions: permissionList.optional(),
    is_active: z.boolean().optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), "must hold a field to change");
const keyBody = z.object({
  client_name: plainText(100)
    .min(1)
    .regex(/^[a-zA-Z0-9\s_.-]+$/, "must hold letters, digits, blanks, _ . - only"),
  permissions: z.array(z.string().max(64)).max(50).optional(),
});

/** Accounts. */
export function userOperations(users: Users, newUsersChangePassword: () => boolean): readonly Operation[] {
  const path = "/api/v1/users/:username";
  return [
    {
      id: "listUsers",
      method: "GET",
      path: "/api/v1/users",
      guard: reading("users.read"),
      handle: async () => {
        const list = await users.list();
        return ok({ users: list.map(userAnswer), total: list.length });
      },
    },
    {
      id: "createUser",
      method: "POST",
      path: "/api/v1/users",
      guard: writing("users.write", "admin-secret"),
      maxBody: 2048,
      handle: async (call) => {
        const body = bodyOf(call.request, createBody);
        const user = await users.create(
          {
            username: body.username,
            email: body.email,
            password: body.password,
            fullName: body.full_name,
            role: body.role,
            permissions: body.permissions,
            mustChangePassword: body.require_password_change === true || newUsersChangePassword(),
          },
          call.actor,
        );
        return ok(userAnswer(user), 201);
      },
    },
    {
      id: "getUser",
      method: "GET",
      path,
      guard: reading("users.read"),
      handle: async ({ request }) => ok(userAnswer(await users.get(parameter(request, "username")))),
    },
    {
      id: "updateUser",
      method: "PUT",
      path,
      guard: writing("users.write"),
      maxBody: 2048,
      handle: async ({ request, actor }) => {
        const body = bodyOf(request, updateBody);
        const change = {
          email: body.email,
          fullName: body.full_name,
          role: body.role,
          permissions: body.permissions,
          isActive: body.is_active,
        };
        await users.update(parameter(request, "username"), change, actor);
        return ok({ message: "User changed" });
      },
    },
    {
      id: "deleteUser",
      method: "DELETE",
      path,
      guard: writing("users.delete"),
      handle: async ({ request, actor }) => {
        await users.delete(parameter(request, "username"), actor);
        return ok({ message: "User deleted" });
      },
    },
  ];
}

/** Keys for programs. */
export function apiKeyOperations(keys: ApiKeys, users: Users): readonly Operation[] {
  return [
    {
      id: "listApiKeys",
      method: "GET",
      path: "/api/v1/api-keys",
      guard: reading("api_keys.read"),
      handle: async () => {
        const list = await keys.list();
        return ok({ api_keys: list.map(apiKeyAnswer), total: list.length });
      },
    },
    {
      id: "createApiKey",
      method: "POST",
      path: "/api/v1/api-keys",
      guard: writing("api_keys.write", "admin-secret"),
      maxBody: 1024,
      handle: async (call) => {
        const body = bodyOf(call.request, keyBody);
        const owner = known(call).user ?? (await users.get(builtInName));
        const created = await keys.create(body.client_name, body.permissions ?? ["read"], owner.userId, call.actor);
        return ok({ ...apiKeyAnswer(created.key), api_key: created.whole });
      },
    },
    {
      id: "revokeApiKey",
      method: "DELETE",
      path: "/api/v1/api-keys/:api_key",
      guard: writing("api_keys.delete"),
      handle: async ({ request, actor }) => {
        await keys.revoke(parameter(request, "api_key"), actor);
        return ok({ message: "API key revoked" });
      },
    },
  ];
}
