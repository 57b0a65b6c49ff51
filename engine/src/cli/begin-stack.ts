import { Crypters, openBackend, openStack, type Surroundings } from "../operation/stack-session.ts";
import { formatDeployment } from "../state/checkpoint.ts";
import type { OperationArguments } from "./arguments.ts";

/**
 * Makes an empty stack where the CLI is to do an operation on one that isn't there. The CLI refuses such a stack, so the
 * first update would depend on the engine that does it. Stacks that are kept elsewhere than in a folder, or whose
 * secrets need more than a passphrase, are left to `pulumi stack init`.
 *
 * @returns whether a stack was made
 * @throws what opening the stack throws: settings or passphrase that are not as expected
 */
export async function beginStack(
  { command, stack }: Pick<OperationArguments, "command" | "stack">,
  around: Surroundings,
): Promise<boolean> {
  const { environment } = around;
  const passphrase = environment["PULUMI_CONFIG_PASSPHRASE"] ?? environment["PULUMI_CONFIG_PASSPHRASE_FILE"];
  const inFolder = environment["PULUMI_BACKEND_URL"]?.startsWith("file://") === true;
  if (!inFolder || passphrase === undefined || (command !== "up" && command !== "preview")) return false;
  const { backend } = await openBackend(around);
  if ((await backend.read(stack)) !== undefined) return false;
  const lock = await backend.lock(stack, around.now());
  try {
    const { crypter, snapshot, persist } = await openStack(around, stack, new Crypters(environment));
    const empty = { time: around.now(), resources: [], operations: [], crypter, metadata: snapshot.metadata };
    await persist(formatDeployment(empty), []);
    return true;
  } finally {
    await lock.release();
  }
}
