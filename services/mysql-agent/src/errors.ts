import { GroupError, type GroupErrorCode } from "@tokenshield/mysql";

/** A condition that the agent can't go on with. */
export class AgentError extends GroupError<AgentErrorCode> {
  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = "AgentError";
  }
}

export type AgentErrorCode = GroupErrorCode | "API_STATUS" | "API_ANSWER" | "SUPERSEDED";
