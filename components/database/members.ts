import { createHash } from "node:crypto";
import type { Settings, TenantSettings } from "../../stacks/settings";
import { databaseServices } from "../parts";
import { serviceHost } from "./database";

/** Ports of a member: clients, and the other members. */
export interface MemberPorts {
  readonly mysql: number;
  readonly groupReplication: number;
}

/** The most members that a group can have. */
export const mostMembers = 5;

/** The name of a member: that of its pod. */
export function memberName(ordinal: number): string {
  return `${databaseServices.primary}-${ordinal}`;
}

/** The names under which members know each other, in order. */
export function memberHosts(members: number, namespace: string): string[] {
  return Array.from(
    { length: members },
    (_, ordinal) => `${memberName(ordinal)}.${serviceHost(databaseServices.members, namespace)}`,
  );
}

/** The members as their agents read them: `NAME=HOST:PORT:GROUPPORT,…`. */
export function memberList(members: number, namespace: string, ports: MemberPorts): string {
  return memberHosts(members, namespace)
    .map((host, ordinal) => `${memberName(ordinal)}=${host}:${ports.mysql}:${ports.groupReplication}`)
    .join(",");
}

/**
 * The name of a group (`group_replication_group_name`), which every transaction carries for ever: a UUID (RFC 9562,
 * version 8) made of what never changes of a tenant.
 */
export function groupName(environment: string, tenant: string): string {
  const bytes = createHash("sha256").update(`mysql group ${environment}/${tenant}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** How many members a tenant's group in the cluster has. */
export function membersOf(settings: Settings, { spec }: TenantSettings): number {
  const { enabled, database } = spec.highAvailability;
  return enabled && database.replication ? settings.database.group.members : 1;
}
