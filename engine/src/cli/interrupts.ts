import type { EventSink } from "../deploy/event.ts";
import type { OperationControl } from "../operation/operation.ts";

/** Interrupts of one operation. */
export interface Interrupts {
  /** Gives the operation to stop once it runs; one that was interrupted before is stopped now. */
  readonly control: (operation: OperationControl) => void;
  /** Leaves interrupts to Node.js again. */
  readonly end: () => void;
}

/** The exit status of a process that an interrupt ended, as shells tell it. */
const interruptedStatus = 130;

/**
 * Hears Ctrl-C and SIGTERM: the first lets running steps end and begins no others; the second ends this process at
 * once, with what was under way named in the state, so that the next run settles it, and the stack unlocked, as the CLI
 * leaves it (`pulumi` `pkg/backend/diy`, Update).
 *
 * @param unlock gives the stack's lock back
 */
export function hearInterrupts(display: EventSink, unlock: () => Promise<void>): Interrupts {
  let operation: OperationControl | undefined;
  let interrupts = 0;
  const endProcess = async () => {
    try {
      await operation?.kill();
      await unlock();
    } finally {
      process.exit(interruptedStatus);
    }
  };
  const onInterrupt = () => {
    interrupts += 1;
    if (interrupts === 1) {
      const message = "cancelling: running steps are finished; interrupt again to stop at once";
      display({ kind: "diagnostic", severity: "info", urn: undefined, message, streamId: 0, ephemeral: false });
      operation?.cancel();
    } else if (interrupts === 2) {
      void endProcess();
    }
  };
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onInterrupt);
  return {
    control: (running) => {
      operation = running;
      if (interrupts > 0) running.cancel();
    },
    end: () => {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onInterrupt);
    },
  };
}
