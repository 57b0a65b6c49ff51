import type { OutputName, StackOutputs, TenantField, TenantOutputs } from "./schema";

/** A program of another team: who it is, and what it reads. */
export interface Consumer<Name extends OutputName, Field extends TenantField> {
  /** Name of the program; every failure names it. */
  readonly name: string;
  /** The outputs that it reads. */
  readonly outputs: readonly Name[];
  /** The fields that it reads of tenants; none where it reads no tenant. */
  readonly tenant: readonly Field[];
}

/** What a consumer gets: what it named, and nothing else. */
export type ConsumerOutputs<Name extends OutputName, Field extends TenantField> = Pick<StackOutputs, Name> & {
  readonly tenants: Readonly<Record<string, Pick<TenantOutputs, Field>>>;
};

/** Says who reads what; the names are checked by the compiler. */
export function defineConsumer<const Name extends OutputName, const Field extends TenantField>(
  consumer: Consumer<Name, Field>,
): Consumer<Name, Field> {
  return consumer;
}
