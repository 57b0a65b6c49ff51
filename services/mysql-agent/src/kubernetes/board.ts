import { AgentError } from "../errors.ts";
import { type GroupRecord, type Report, unformed } from "../members.ts";
import type { Board, Snapshot } from "../ports.ts";
import type { KubernetesApi } from "./api.ts";
import { type Lease, names, readLease, readLeases, readRecord, readReport } from "./objects.ts";

export interface LeaseBoardOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** Name of the group, and of the Lease with its record; a member's Lease is `<group>.<member>`. */
  readonly group: string;
  readonly member: string;
  readonly incarnation: string;
  /** The time to write into Leases; others read it as information only. */
  readonly now: () => Date;
}

/**
 * Leases as the place where agents leave word: one for the group's record, written by compare-and-set on its
 * `resourceVersion`, and one for each member's report. One list reads them all as of one moment.
 */
export class LeaseBoard implements Board {
  readonly #options: LeaseBoardOptions;
  /** Version of the member's own Lease; undefined where there is none yet. */
  #version: string | undefined;
  /** Whether this agent has written to it: from then on nobody else may. */
  #taken = false;

  constructor(options: LeaseBoardOptions) {
    this.#options = options;
  }

  async read(): Promise<Snapshot> {
    const { api, group } = this.#options;
    const selector = encodeURIComponent(`${names.group}=${group}`);
    const leases = readLeases((await api.call("GET", `${this.#path}?labelSelector=${selector}`)).body);
    const reports = new Map<string, Report>();
    for (const lease of leases) {
      const report = readReport(lease);
      if (report !== undefined && lease.metadata.name === this.#name(report.member)) reports.set(report.member, report);
      if (lease.metadata.name === this.#ownName && !this.#taken) this.#version = lease.metadata.resourceVersion;
    }
    const record = leases.find(({ metadata }) => metadata.name === group);
    return {
      group: record === undefined ? unformed : readRecord(record),
      version: record?.metadata.resourceVersion,
      reports,
    };
  }

  async publish(report: Report): Promise<void> {
    const written = await this.#write(
      this.#ownName,
      this.#version,
      { [names.report]: JSON.stringify(report) },
      report.member,
    );
    this.#version = written?.metadata.resourceVersion ?? (await this.#recover());
    this.#taken = true;
    if (written === undefined) throw new AgentError("API_STATUS", "the member's Lease changed meanwhile; next round");
  }

  async replace(version: string | undefined, record: GroupRecord): Promise<boolean> {
    const { assumeLost, committed, epoch, holder } = record;
    const annotations = {
      [names.committed]: committed,
      ...(assumeLost === undefined
        ? {}
        : { [names.assumeLost]: `${assumeLost.epoch} ${assumeLost.members.join(",")}` }),
    };
    return (await this.#write(this.#options.group, version, annotations, holder, epoch)) !== undefined;
  }

  /** After a conflict on the own Lease: an answer of ours may have been lost, or another agent has taken over. */
  async #recover(): Promise<string | undefined> {
    const { api, incarnation, member } = this.#options;
    const { status, body } = await api.call("GET", `${this.#path}/${this.#ownName}`, undefined, [404]);
    if (status === 404) return undefined;
    const lease = readLease(body);
    if (this.#taken && readReport(lease)?.incarnation !== incarnation)
      throw new AgentError("SUPERSEDED", `another agent speaks for ${member}: this one ends`);
    return lease.metadata.resourceVersion;
  }

  /** @returns undefined where the version is no longer the present one */
  async #write(
    name: string,
    version: string | undefined,
    annotations: Readonly<Record<string, string>>,
    holder: string | undefined,
    transitions?: number,
  ): Promise<Lease | undefined> {
    const { api, group, namespace, now } = this.#options;
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name,
        namespace,
        labels: { [names.group]: group },
        annotations,
        ...(version === undefined ? {} : { resourceVersion: version }),
      },
      spec: {
        ...(holder === undefined ? {} : { holderIdentity: holder }),
        ...(transitions === undefined ? {} : { leaseTransitions: transitions }),
        renewTime: now().toISOString().replace(/Z$/, "000Z"),
      },
    };
    const { status, body } =
      version === undefined
        ? await api.call("POST", this.#path, lease, [409])
        : await api.call("PUT", `${this.#path}/${name}`, lease, [404, 409]);
    return status === 404 || status === 409 ? undefined : readLease(body);
  }

  get #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  get #ownName(): string {
    return this.#name(this.#options.member);
  }

  #name(member: string): string {
    return `${this.#options.group}.${member}`;
  }
}
