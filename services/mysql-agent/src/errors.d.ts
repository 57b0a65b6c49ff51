/** A condition that the agent or a rotation can't go on with. The message says what was expected, what was found and what to do. */
export declare class AgentError extends Error {
    readonly code: AgentErrorCode;
    constructor(code: AgentErrorCode, message: string, options?: ErrorOptions);
}
export type AgentErrorCode = "SETTINGS" | "GTID_SYNTAX" | "API_STATUS" | "API_ANSWER" | "SUPERSEDED" | "SERVER_STATE" | "TIME_LIMIT" | "USAGE";
/** @returns what an unknown thrown thing says of itself; MySQL's messages name accounts and variables, never passwords */
export declare function said(error: unknown): string;
