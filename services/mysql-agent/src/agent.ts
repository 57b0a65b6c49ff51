import { GtidSet, said } from "@tokenshield/mysql";
import { type Action, decide } from "./decide.ts";
import type { Vitals } from "./health.ts";
import { Hearing } from "./hearing.ts";
import {
  type Errand,
  type GroupRecord,
  isWhole,
  type Member,
  type Report,
  servingRole,
  type ServerView,
} from "./members.ts";
import type { Board, Labels, Server, Snapshot } from "./ports.ts";

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface AgentOptions {
  readonly self: string;
  readonly members: readonly Member[];
  readonly server: Server;
  readonly board: Board;
  readonly labels: Labels;
  readonly log: Log;
  /** A name of this run, never used before. */
  readonly incarnation: string;
  /** Monotonic, in milliseconds. */
  readonly clock: () => number;
  /** How long another agent's report counts, in milliseconds. */
  readonly patience: number;
  /** A member that lacks more transactions than this is cloned. */
  readonly cloneBeyond: number;
}

/** How often the primary notes what the group has committed and looks after the accounts, in milliseconds. */
const noteEvery = 10_000;
const tendEvery = 60_000;
const certificateEvery = 10_000;
const markEvery = 15_000;
const longestPause = 30_000;
/** For how long one look after another may go wrong before the label is taken off, in milliseconds. */
const labelGrace = 5_000;

/**
 * One member's agent: in each round it reads what the others said, looks at its server, says what it saw, decides and
 * acts. What takes long (an errand) runs beside the rounds, one at a time. Before an errand begins the others are told;
 * where they can't be told, it doesn't begin.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #hearing: Hearing;
  #sequence = 0;
  #errand: Errand | undefined;
  #errandEnd: Promise<void> = Promise.resolve();
  #failures = 0;
  #notBefore = 0;
  #leaving = false;
  #action: Action = { kind: "none", why: "starting" };
  #view: ServerView = { kind: "down", why: "not looked at yet" };
  #lastAnswer: ServerView | undefined;
  #answeredAt: number;
  #upAt = Number.NEGATIVE_INFINITY;
  #wholeSince: number | undefined;
  #roundAt: number;
  #boardError: string | undefined;
  readonly #due = { note: 0, tend: 0, mark: 0, certificate: 0 };
  #marked: string | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#hearing = new Hearing(options.patience);
    this.#answeredAt = options.clock();
    this.#roundAt = options.clock();
  }

  /** Asks the member to leave its group, or to come back. */
  set leaving(wish: boolean) {
    this.#leaving = wish;
  }

  get leaving(): boolean {
    return this.#leaving;
  }

  /** The last decision. */
  get action(): Action {
    return this.#action;
  }

  /** Why the others could not be read or told in the last round; undefined if they could. */
  get boardError(): string | undefined {
    return this.#boardError;
  }

  /** Settles when the errand that runs now has ended; errands' failures are logged, not thrown. */
  get errandEnd(): Promise<void> {
    return this.#errandEnd;
  }

  vitals(): Vitals {
    const now = this.#options.clock();
    return {
      view: this.#view,
      lastAnswer: this.#lastAnswer,
      silent: this.#view.kind === "down" ? now - this.#answeredAt : 0,
      sinceRound: now - this.#roundAt,
      errand: this.#errand,
    };
  }

  /**
   * One round.
   *
   * @throws AgentError `SUPERSEDED` if another agent speaks for this member: this one must end
   */
  async round(): Promise<void> {
    const { board, clock, cloneBeyond, members, self, server } = this.#options;
    const snapshot = await this.#read();
    // An errand that ends while the server is looked at still counts: the look may be from before its end.
    const errand = this.#errand;
    this.#look(await server.observe());
    if (snapshot !== undefined) this.#hearing.take(othersOf(snapshot, self), clock());
    const own = this.#report(snapshot?.group.epoch ?? 0, errand);
    const told = snapshot !== undefined && (await this.#tell(board, own));
    this.#roundAt = clock();
    await this.#mark();
    if (this.#errand !== undefined || errand !== undefined) return;
    const action = decide({
      self,
      members: members.map(({ name }) => name),
      group: told ? snapshot.group : undefined,
      own,
      heard: this.#hearing.fresh(clock()),
      leaving: this.#leaving,
      cloneBeyond,
      wholeFor: this.#wholeSince === undefined ? 0 : clock() - this.#wholeSince,
    });
    this.#show(action);
    await this.#act(action, snapshot);
    if (told) await this.#primaryDuties(snapshot);
    await this.#takeUpCertificate();
  }

  async #takeUpCertificate(): Promise<void> {
    const { clock, log, server } = this.#options;
    if (this.#view.kind !== "up" || clock() < this.#due.certificate) return;
    this.#due.certificate = clock() + certificateEvery;
    try {
      if (await server.takeUpCertificate()) log.info({}, "clients see the renewed certificate");
    } catch (error) {
      log.warn({ why: said(error) }, "the renewed certificate can't be taken up");
    }
  }

  async #read(): Promise<Snapshot | undefined> {
    try {
      const snapshot = await this.#options.board.read();
      this.#boardError = undefined;
      return snapshot;
    } catch (error) {
      this.#boardTrouble(error);
      return undefined;
    }
  }

  /** @returns whether the others can now read it */
  async #tell(board: Board, report: Report): Promise<boolean> {
    try {
      await board.publish(report);
      return true;
    } catch (error) {
      if (isSuperseded(error)) throw error;
      this.#boardTrouble(error);
      return false;
    }
  }

  #boardTrouble(error: unknown): void {
    const why = said(error);
    if (this.#boardError === undefined) this.#options.log.warn({ why }, "the API server can't be used");
    this.#boardError = why;
  }

  #look(view: ServerView): void {
    this.#view = view;
    if (isWhole(view, this.#options.members.length)) this.#wholeSince ??= this.#options.clock();
    else this.#wholeSince = undefined;
    if (view.kind === "down") return;
    this.#lastAnswer = view;
    this.#answeredAt = this.#options.clock();
    if (view.kind === "up") this.#upAt = this.#answeredAt;
  }

  #report(epoch: number, errand: Errand | undefined): Report {
    this.#sequence += 1;
    const { self: member, incarnation } = this.#options;
    return { member, incarnation, sequence: this.#sequence, epoch, errand, server: this.#view };
  }

  #show(action: Action): void {
    if (JSON.stringify(action) === JSON.stringify(this.#action)) return;
    this.#action = action;
    this.#options.log[action.kind === "blocked" ? "warn" : "info"]({ action }, "decided");
  }

  async #act(action: Action, snapshot: Snapshot | undefined): Promise<void> {
    const { clock, members, server } = this.#options;
    if (clock() < this.#notBefore) return;
    switch (action.kind) {
      case "none":
      case "blocked":
      case "left":
        return;
      case "stop":
        this.#run("stop", () => server.stop());
        return;
      case "hand-over":
        this.#run("hand-over", () => server.handOver(action.to));
        return;
      case "join":
        await this.#enter("join", snapshot?.group.epoch, () => server.join());
        return;
      case "clone": {
        const donor = members.find(({ name }) => name === action.donor);
        if (donor !== undefined) await this.#enter("clone", snapshot?.group.epoch, () => server.clone(donor));
        return;
      }
      case "bootstrap": {
        const epoch = snapshot === undefined ? undefined : await this.#claim(snapshot);
        if (epoch !== undefined) await this.#enter("bootstrap", epoch, () => server.bootstrap());
        return;
      }
    }
  }

  /** Takes the next epoch. @returns it, or undefined if another member was quicker */
  async #claim({ group, version }: Snapshot): Promise<number | undefined> {
    const record: GroupRecord = { ...group, epoch: group.epoch + 1, holder: this.#options.self };
    try {
      return (await this.#options.board.replace(version, record)) ? record.epoch : undefined;
    } catch (error) {
      this.#boardTrouble(error);
      return undefined;
    }
  }

  /** Begins what brings the server into a group, once the others can read that it does. */
  async #enter(errand: Errand, epoch: number | undefined, work: () => Promise<void>): Promise<void> {
    if (epoch === undefined) return;
    if (await this.#tell(this.#options.board, this.#report(epoch, errand))) this.#run(errand, work);
  }

  #run(errand: Errand, work: () => Promise<void>): void {
    const { clock, log } = this.#options;
    const began = clock();
    this.#errand = errand;
    log.info({ errand }, "begins");
    this.#errandEnd = work()
      .then(
        () => {
          this.#failures = 0;
          log.info({ errand, milliseconds: Math.round(clock() - began) }, "done");
        },
        (error: unknown) => {
          const pause = Math.min(1000 * 2 ** this.#failures, longestPause);
          this.#failures += 1;
          this.#notBefore = clock() + pause;
          log.warn({ errand, why: said(error), pause }, "failed");
        },
      )
      .finally(() => {
        this.#errand = undefined;
      });
  }

  /** Keeps the label in step with the role, also where somebody else changed it. */
  async #mark(): Promise<void> {
    const { clock, labels, log } = this.#options;
    // One slow answer of a busy primary must not take its clients away.
    if (this.#view.kind !== "up" && clock() - this.#upAt < labelGrace) return;
    const role = servingRole(this.#view);
    const wanted = role ?? "none";
    if (wanted === this.#marked && clock() < this.#due.mark) return;
    try {
      await labels.mark(role);
      this.#marked = wanted;
      this.#due.mark = clock() + markEvery;
    } catch (error) {
      // Said once until it works again, and tried in each round.
      if (this.#marked !== "failed") log.warn({ why: said(error) }, "the pod's label can't be set");
      this.#marked = "failed";
    }
  }

  async #primaryDuties({ group, version }: Snapshot): Promise<void> {
    const { board, clock, log, server } = this.#options;
    if (servingRole(this.#view) !== "primary" || this.#view.kind !== "up") {
      this.#due.tend = 0;
      return;
    }
    const now = clock();
    if (now >= this.#due.note) {
      const committed = GtidSet.parse(group.committed).union(GtidSet.parse(this.#view.executed)).toString();
      try {
        if (committed === group.committed || (await board.replace(version, { ...group, committed })))
          this.#due.note = now + noteEvery;
      } catch (error) {
        this.#boardTrouble(error);
      }
    }
    if (now >= this.#due.tend) {
      try {
        await server.tend();
        this.#due.tend = now + tendEvery;
      } catch (error) {
        log.warn({ why: said(error) }, "the accounts can't be looked after");
      }
    }
  }
}

function othersOf({ reports }: Snapshot, self: string): ReadonlyMap<string, Report> {
  return new Map([...reports].filter(([name]) => name !== self));
}

function isSuperseded(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "SUPERSEDED";
}
