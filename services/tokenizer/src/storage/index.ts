export { type AuditHead, auditHead, AuditLog, type AuditVerdict, verifyAudit } from "./audit.ts";
export { MySqlDatabase } from "./database.ts";
export { DatabaseFault, errorClassOf, StatementRefused } from "./errors.ts";
export { migrate, type Migration, SchemaMismatch } from "./migrate.ts";
export type { DatabaseCredentials, DatabaseOptions } from "./pool.ts";
export { migrations } from "./schema.ts";
export { bytes, date, number, optional, places, text, texts, truth } from "../core/rows.ts";
