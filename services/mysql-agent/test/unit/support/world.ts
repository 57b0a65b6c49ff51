import { Agent, type Log } from "../../../src/agent.ts";
import { AgentError } from "../../../src/errors.ts";
import {
  type GroupRecord,
  type Member,
  type Report,
  type Role,
  type ServerView,
  unformed,
} from "../../../src/members.ts";
import type { Board, Labels, Server, Snapshot } from "../../../src/ports.ts";

const groupName = "00000000-0000-4000-8000-000000000000";
const uuidOf = (index: number): string => `00000000-0000-4000-8000-00000000000${index + 1}`;

/** A group as its members make it: who is in its present view, and who leads it. */
interface Group {
  view: Set<Node>;
  primary: Node | undefined;
}

/** A simulated server with its disk, and its agent. */
export interface Node {
  readonly member: Member;
  readonly uuid: string;
  running: boolean;
  frozen: boolean;
  /** Which part of a split network the server is in. */
  zone: number;
  /** Whether the agent reaches the API server. */
  api: boolean;
  state: "offline" | "online" | "error";
  group: Group | undefined;
  /** Transactions on disk. */
  disk: Set<number>;
  /** Transactions received and not yet on disk: gone when the server is killed. */
  memory: Set<number>;
  /** Statements that run on the server, by the agent's incarnation that sent them. */
  statements: Set<string>;
  label: Role | undefined;
  agent: Agent | undefined;
  incarnation: string;
}

interface Pending {
  readonly incarnation: string;
  /** A statement that has reached the server goes on without the agent that sent it. */
  readonly onServer: boolean;
  readonly go: () => void;
}

const text = (numbers: ReadonlySet<number>): string =>
  numbers.size === 0 ? "" : `${groupName}:${[...numbers].sort((one, other) => one - other).join(":")}`;

/**
 * Members, network, API server and clients, in which each call of an agent is a step of its own that a test lets
 * happen when it likes. It runs the agent's real rounds, and checks after each step what must always hold.
 */
export class World {
  readonly nodes: readonly Node[];
  /** Rows that a client was told are committed. */
  readonly acknowledged = new Set<number>();
  readonly violations: string[] = [];
  readonly log: string[] = [];
  bootstraps = 0;
  record: GroupRecord = unformed;
  #version = 0;
  readonly #reports = new Map<string, Report>();
  #pending: Pending[] = [];
  #row = 0;
  #incarnations = 0;
  now = 0;

  constructor(size: number) {
    this.nodes = Array.from({ length: size }, (_, index) => ({
      member: { name: `m-${index}`, host: `h${index}`, port: 3306, groupPort: 33061 },
      uuid: uuidOf(index),
      running: true,
      frozen: false,
      zone: 0,
      api: true,
      state: "offline",
      group: undefined,
      disk: new Set<number>(),
      memory: new Set<number>(),
      statements: new Set<string>(),
      label: undefined,
      agent: undefined,
      incarnation: "",
    }));
    for (const node of this.nodes) this.startAgent(node);
  }

  /** Starts an agent; one that ran for the member ends at once, with its calls that have not reached anything. */
  startAgent(node: Node): void {
    this.stopAgent(node);
    this.#incarnations += 1;
    const incarnation = `i${this.#incarnations}`;
    const report = (fields: object, message: string): void => {
      this.log.push(`${this.now} ${node.member.name}/${incarnation} ${message} ${JSON.stringify(fields)}`);
    };
    const log: Log = { info: report, warn: report };
    node.incarnation = incarnation;
    const agent = new Agent({
      self: node.member.name,
      members: this.nodes.map(({ member }) => member),
      server: this.#server(node, incarnation),
      board: this.#board(node, incarnation),
      labels: this.#labels(node, incarnation),
      log,
      incarnation,
      clock: () => this.now,
      patience: 5_000,
      cloneBeyond: 50,
    });
    node.agent = agent;
    void this.#rounds(node, agent, incarnation);
  }

  stopAgent(node: Node): void {
    this.#pending = this.#pending.filter(({ incarnation, onServer }) => incarnation !== node.incarnation || onServer);
    node.agent = undefined;
    node.incarnation = "";
  }

  async #rounds(node: Node, agent: Agent, incarnation: string): Promise<void> {
    while (node.incarnation === incarnation) {
      await this.#step(incarnation);
      await agent.round();
    }
  }

  #step(incarnation: string, onServer?: "onServer"): Promise<void> {
    return new Promise((go) => {
      this.#pending.push({ incarnation, onServer: onServer !== undefined, go });
    });
  }

  get waiting(): number {
    return this.#pending.length;
  }

  /** Lets one of the pending calls happen, then whatever follows from it without another call. */
  async deliver(choice: number): Promise<void> {
    const [chosen] = this.#pending.splice(choice % Math.max(1, this.#pending.length), 1);
    this.now += 40;
    chosen?.go();
    await new Promise((resolve) => setImmediate(resolve));
    this.#check();
  }

  /** Time passes; groups notice who is gone, as they do after their time-outs. */
  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.settleGroups();
    this.#check();
  }

  kill(node: Node): void {
    node.running = false;
    node.frozen = false;
    node.memory.clear();
    node.statements.clear();
    this.#leaveGroup(node, "offline");
  }

  wipe(node: Node): void {
    this.kill(node);
    node.disk.clear();
  }

  /** A client writes through a primary that can commit; it gets the word once a majority has the row. */
  write(): boolean {
    for (const node of this.nodes) {
      const { group } = node;
      if (group?.primary !== node || !this.#commits(node)) continue;
      // A primary applies all that the group had agreed on before it takes writes.
      this.flush(node);
      const row = (this.#row += 1);
      node.disk.add(row);
      for (const other of this.#component(node)) other.memory.add(row);
      this.acknowledged.add(row);
      return true;
    }
    return false;
  }

  /** Writes that appliers had in memory reach the disks. */
  flush(node: Node): void {
    if (!node.running || node.frozen) return;
    for (const row of node.memory) node.disk.add(row);
    node.memory.clear();
  }

  /** What group communication does by itself: expel, elect, give up where a majority is away. */
  settleGroups(): void {
    for (const node of this.nodes) {
      if (node.group === undefined || node.frozen) continue;
      const { group } = node;
      if (!group.view.has(node) || !this.#commits(node)) {
        this.flush(node);
        this.#leaveGroup(node, "error");
        continue;
      }
      const component = this.#component(node);
      group.view = new Set(component);
      if (group.primary === undefined || !group.view.has(group.primary)) group.primary = component[0];
      // Who was late gets what the others have agreed on meanwhile.
      const agreed = component.flatMap(({ disk, memory }) => [...disk, ...memory]);
      for (const member of component) {
        for (const row of agreed) member.memory.add(row);
        this.flush(member);
      }
    }
  }

  /** Members in the view of a node's group that it reaches, itself included. */
  #component(node: Node): readonly Node[] {
    return this.nodes.filter(
      (other) =>
        other.group === node.group && node.group?.view.has(other) === true && other.zone === node.zone && awake(other),
    );
  }

  #commits(node: Node): boolean {
    const { group } = node;
    if (group === undefined || !awake(node) || !group.view.has(node)) return false;
    return this.#component(node).length * 2 > group.view.size;
  }

  #leaveGroup(node: Node, state: "offline" | "error"): void {
    // A view keeps a member that was killed until the others expel it.
    if (state === "offline" && node.running && node.group !== undefined) {
      node.group.view.delete(node);
      if (node.group.primary === node) node.group.primary = [...node.group.view][0];
    }
    node.group = undefined;
    node.state = state;
  }

  #check(): void {
    const committing = new Set(this.nodes.filter((node) => this.#commits(node)).map(({ group }) => group));
    if (committing.size > 1) this.violations.push(`${this.now}: two groups can commit`);
  }

  #board(node: Node, incarnation: string): Board {
    const reach = async (): Promise<void> => {
      await this.#step(incarnation);
      if (!node.api) throw new AgentError("API_STATUS", "no route to the API server");
    };
    const answer = async <Answer>(value: Answer): Promise<Answer> => {
      await this.#step(incarnation);
      return value;
    };
    return {
      read: async (): Promise<Snapshot> => {
        await reach();
        return answer({ group: this.record, version: `${this.#version}`, reports: new Map(this.#reports) });
      },
      publish: async (report): Promise<void> => {
        await reach();
        this.#reports.set(node.member.name, report);
        await answer(undefined);
      },
      replace: async (version, record): Promise<boolean> => {
        await reach();
        const same = version === `${this.#version}`;
        if (same) {
          this.record = record;
          this.#version += 1;
        }
        return answer(same);
      },
    };
  }

  #labels(node: Node, incarnation: string): Labels {
    return {
      mark: async (role): Promise<void> => {
        await this.#step(incarnation);
        if (!node.api) throw new AgentError("API_STATUS", "no route to the API server");
        node.label = role;
        if (role === "primary") for (const other of this.nodes) if (other !== node) other.label = undefined;
      },
    };
  }

  #server(node: Node, incarnation: string): Server {
    const statement = async (effect: () => void): Promise<void> => {
      await this.#step(incarnation);
      if (!awake(node)) throw new AgentError("SERVER_STATE", "no connection");
      node.statements.add(incarnation);
      // From here on the server has the statement; it takes its time, and ends with or without whoever sent it.
      for (let moment = 0; moment < 10; moment += 1) await this.#step(incarnation, "onServer");
      while (node.frozen) await this.#step(incarnation, "onServer");
      // A server that was killed has forgotten its statements.
      const lost = !node.statements.delete(incarnation);
      if (lost) throw new AgentError("SERVER_STATE", "the connection was lost");
      effect();
      await this.#step(incarnation);
    };
    return {
      observe: async (): Promise<ServerView> => {
        await this.#step(incarnation);
        const view = this.#observe(node, incarnation);
        await this.#step(incarnation);
        return view;
      },
      bootstrap: () =>
        statement(() => {
          if (node.group !== undefined) throw new AgentError("SERVER_STATE", "in a group already");
          if (this.nodes.some((other) => other.group !== undefined))
            this.violations.push(`${this.now}: ${node.member.name} starts a group while another server is in one`);
          this.bootstraps += 1;
          const missing = [...this.acknowledged].filter((row) => !node.disk.has(row));
          if (missing.length > 0) this.violations.push(`${this.now}: a start that loses rows ${missing.join()}`);
          node.state = "online";
          node.group = { view: new Set([node]), primary: node };
        }),
      join: () =>
        statement(() => {
          this.#join(node);
        }),
      clone: (donor) =>
        statement(() => {
          const giver = this.nodes.find(({ member }) => member.name === donor.name);
          if (giver === undefined || !awake(giver) || giver.zone !== node.zone || node.group !== undefined)
            throw new AgentError("SERVER_STATE", "the donor can't be reached");
          node.disk = new Set(giver.disk);
          node.running = false;
        }),
      stop: () =>
        statement(() => {
          this.flush(node);
          this.#leaveGroup(node, "offline");
        }),
      handOver: (to) =>
        statement(() => {
          const heir = this.nodes.find(({ uuid }) => uuid === to.uuid);
          if (node.group === undefined || heir === undefined || !node.group.view.has(heir))
            throw new AgentError("SERVER_STATE", "the heir is not in the group");
          node.group.primary = heir;
        }),
      tend: () => this.#step(incarnation),
      takeUpCertificate: () => Promise.resolve(false),
    };
  }

  #join(node: Node): void {
    if (node.group !== undefined) throw new AgentError("SERVER_STATE", "in a group already");
    const host = this.nodes.find((other) => other.zone === node.zone && this.#commits(other));
    if (host?.group === undefined) throw new AgentError("SERVER_STATE", "no group to join");
    const members = this.#component(host);
    const has = new Set(members.flatMap(({ disk, memory }) => [...disk, ...memory]));
    if ([...node.disk].some((row) => !has.has(row))) throw new AgentError("SERVER_STATE", "errant transactions");
    host.group.view.add(node);
    for (const row of has) node.disk.add(row);
    node.group = host.group;
    node.state = "online";
  }

  #observe(node: Node, incarnation: string): ServerView {
    if (!awake(node)) return { kind: "down", why: "no connection" };
    if ([...node.statements].some((sender) => sender !== incarnation))
      return { kind: "unsettled", why: "a statement of a former agent" };
    const { group } = node;
    const reached = new Set(group === undefined ? [] : this.#component(node));
    return {
      kind: "up",
      uuid: node.uuid,
      state: node.state,
      role: group === undefined ? undefined : group.primary === node ? "primary" : "secondary",
      executed: text(node.disk),
      received: text(node.memory),
      purged: "",
      view: [...(group?.view ?? [])].map((other) => ({
        uuid: other.uuid,
        host: other.member.host,
        port: other.member.port,
        state: reached.has(other) ? ("online" as const) : ("unreachable" as const),
        role: group?.primary === other ? ("primary" as const) : ("secondary" as const),
      })),
      clone: undefined,
      cloned: false,
      certificate: "present",
    };
  }
}

const awake = (node: Node): boolean => node.running && !node.frozen;
