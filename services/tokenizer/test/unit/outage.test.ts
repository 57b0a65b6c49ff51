import assert from "node:assert/strict";
import fc from "fast-check";
import { CommitInDoubt, evenTwice, StoreUnavailable } from "../../src/core/errors.ts";
import { databaseError, errorClassOf, StatementRefused, unavailable } from "../../src/storage/errors.ts";
import { fateOf, type Phase } from "../../src/storage/fate.ts";
import { type Attempt, nextStep, Outage, type PastOutage } from "../../src/storage/outage.ts";

describe("what became of work that failed", () => {
  const table: readonly [what: string, errorClass: string, phase: Phase, fate: ReturnType<typeof fateOf>][] = [
    ["a server that turned read-only refuses a statement", "ER_OPTION_PREVENTS_STATEMENT", "working", "not done"],
    ["a server that turned read-only refuses a COMMIT", "ER_OPTION_PREVENTS_STATEMENT", "committing", "not done"],
    ["the same by its other name", "ER_READ_ONLY_MODE", "committing", "not done"],
    ["a group changes its primary", "ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING", "working", "not done"],
    ["the hook before_commit refuses", "ER_RUN_HOOK_ERROR", "committing", "not done"],
    ["nobody listens", "ECONNREFUSED", "connecting", "not done"],
    ["the server ends during the login", "ER_SERVER_SHUTDOWN", "connecting", "not done"],
    ["the connection is lost before the COMMIT", "PROTOCOL_CONNECTION_LOST", "working", "not done"],
    ["the connection is lost under the COMMIT", "PROTOCOL_CONNECTION_LOST", "committing", "in doubt"],
    ["the connection is reset under the COMMIT", "ECONNRESET", "committing", "in doubt"],
    ["the server ends under a statement", "ER_SERVER_SHUTDOWN", "working", "not done"],
    ["the server ends under the COMMIT", "ER_SERVER_SHUTDOWN", "committing", "in doubt"],
    ["a member leaves its group under the COMMIT", "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", "committing", "in doubt"],
    ["the login is refused", "ER_ACCESS_DENIED_ERROR", "connecting", "final"],
    ["a statement takes too long", "ER_QUERY_TIMEOUT", "working", "final"],
    ["a lock isn't had", "ER_LOCK_WAIT_TIMEOUT", "working", "final"],
    ["the disk is full", "ER_DISK_FULL", "committing", "final"],
  ];
  for (const [what, errorClass, phase, fate] of table) {
    it(`${fate} when ${what}`, () => {
      assert.equal(fateOf(unavailable(errorClass), phase), fate);
    });
  }

  it("final for what no other connection would do better", () => {
    const defect = databaseError(Object.assign(new Error("near 'x'"), { code: "ER_PARSE_ERROR" }));
    assert.ok(defect instanceof StatementRefused);
    for (const phase of ["connecting", "working", "committing"] as const) {
      assert.equal(fateOf(defect, phase), "final");
      assert.equal(fateOf(new RangeError("of the work itself"), phase), "final");
    }
  });

  it("not done, also as a COMMIT, when the connection had ended before the command", () => {
    const late = databaseError(Object.assign(new Error("Can't add new command"), { fatal: true }));
    assert.equal(errorClassOf(late), "CONNECTION_CLOSED");
    assert.equal(fateOf(late, "committing"), "not done");
  });
});

describe("what work does in an outage", () => {
  const limit = 3000;

  it("tries where none is known", () => {
    assert.equal(nextStep(undefined, { since: 0, fresh: false }, 1e6, limit), "try");
  });

  it("waits for its turn, from its own beginning at most as long as the limit", () => {
    const standing = { since: 1000, lastFailure: 1000, nextTry: 1100, answers: false };
    assert.equal(nextStep(standing, { since: 1000, fresh: false }, 1050, limit), "wait");
    assert.equal(nextStep(standing, { since: 1000, fresh: false }, 1100, limit), "try");
    assert.equal(
      nextStep(
        { since: 2000, lastFailure: 2000, nextTry: 0, answers: false },
        { since: 1000, fresh: false },
        4000,
        limit,
      ),
      "refuse",
    );
  });

  it("is refused at once when the outage is older than the limit, but for a newcomer whose turn it is", () => {
    const standing = { since: 1000, lastFailure: 4400, nextTry: 5000, answers: false };
    assert.equal(nextStep(standing, { since: 4500, fresh: true }, 4500, limit), "refuse");
    assert.equal(nextStep(standing, { since: 5000, fresh: true }, 5000, limit), "try");
    assert.equal(nextStep(standing, { since: 3900, fresh: false }, 5000, limit), "refuse");
  });

  it("never waits longer than the limit, whatever the outage", () => {
    const time = fc.double({ min: 0, max: 1e7, noNaN: true });
    fc.assert(
      fc.property(time, time, time, time, time, fc.boolean(), (since, lastFailure, nextTry, came, now, answers) => {
        const step = nextStep({ since, lastFailure, nextTry, answers }, { since: came, fresh: false }, now, limit);
        return step !== "wait" || now - came < limit;
      }),
    );
  });
});

describe("an outage", () => {
  const limit = 3000;
  let now: number;
  let outage: Outage;
  let tries: number;
  let past: PastOutage[];
  const clock = {
    now: (): number => now,
    sleep: (milliseconds: number): Promise<void> => {
      now += milliseconds;
      return Promise.resolve();
    },
  };
  const down = (): Promise<never> => {
    tries += 1;
    return Promise.reject(unavailable("ECONNREFUSED"));
  };
  const change = (attempt: Attempt): Promise<string> => {
    tries += 1;
    attempt.wrote = true;
    return Promise.resolve("done");
  };

  beforeEach(() => {
    now = 50_000;
    tries = 0;
    past = [];
    outage = new Outage(limit, "change", (one) => past.push(one), clock);
  });

  it("is waited out: the work is done once the database takes it", async () => {
    const back = now + 400;
    const result = outage.bridge((attempt) => (now < back ? down() : change(attempt)));
    assert.equal(await result, "done");
    assert.ok(tries > 2 && now - 50_000 < 500, `${tries} tries, ${now - 50_000} ms`);
    await outage.bridge(change);
    assert.deepEqual(past, [{ milliseconds: Math.round(now - 50_000), errorClass: "ECONNREFUSED" }], "told once");
  });

  it("that is long refuses nobody once somebody was answered, up to the next failure", async () => {
    await assert.rejects(outage.bridge(down));
    const probe = outage.bridge(() => new Promise<never>(() => undefined));
    await assert.rejects(outage.bridge(change), StoreUnavailable, "another one tries");
    outage.answered();
    assert.equal(await outage.bridge((attempt) => Promise.resolve(attempt.wrote)), false);
    assert.deepEqual(past, [], "an answer is no change that was taken");
    await assert.rejects(outage.bridge(down), StoreUnavailable);
    await assert.rejects(outage.bridge(change), StoreUnavailable, "one has failed since");
    outage.answered();
    assert.equal(await outage.bridge(change), "done");
    assert.equal(past.length, 1);
    void probe;
  });

  it("of reads is over once somebody was answered", async () => {
    const reads = new Outage(limit, "answer", (one) => past.push(one), clock);
    reads.answered();
    assert.deepEqual(past, []);
    await assert.rejects(reads.bridge(down));
    reads.answered();
    assert.equal(past.length, 1);
  });

  it("ends in StoreUnavailable with its reason after the limit, and in a bounded number of tries", async () => {
    await assert.rejects(outage.bridge(down), (error) => errorClassOf(error) === "ECONNREFUSED");
    assert.ok(now - 50_000 >= limit && now - 50_000 < limit + 200, `${now - 50_000} ms`);
    assert.ok(tries <= limit / 20, `${tries} tries`);
  });

  it("lets one newcomer at a time try when it is long, and refuses the others without a try", async () => {
    await assert.rejects(outage.bridge(down));
    now += 1000;
    tries = 0;
    let fail = (): void => undefined;
    const probe = outage.bridge(() => {
      tries += 1;
      return new Promise<never>((_, reject) => {
        fail = () => {
          reject(unavailable("ECONNREFUSED"));
        };
      });
    });
    for (let count = 0; count < 100; count++) await assert.rejects(outage.bridge(down), StoreUnavailable);
    assert.equal(tries, 1);
    fail();
    await assert.rejects(probe, StoreUnavailable);
    await assert.rejects(outage.bridge(down), StoreUnavailable);
    assert.equal(tries, 1, "a pause follows");
    now += 1000;
    assert.equal(await outage.bridge(change), "done");
    assert.deepEqual(await Promise.all([outage.bridge(change), outage.bridge(change)]), ["done", "done"]);
  });

  it("that nobody has looked at for long refuses nobody: those who come together wait for the first of them", async () => {
    await assert.rejects(outage.bridge(down));
    now += 3_600_000;
    assert.deepEqual(await Promise.all([outage.bridge(change), outage.bridge(change)]), ["done", "done"]);
  });

  it("isn't over because a server that is read-only answers", async () => {
    await assert.rejects(outage.bridge(down));
    now += 1000;
    assert.equal(await outage.bridge(() => Promise.resolve("looked")), "looked");
    tries = 0;
    await assert.rejects(outage.bridge(down), StoreUnavailable);
    assert.equal(tries, 0);
  });

  it("lets the next newcomer try when a try hangs", async () => {
    await assert.rejects(outage.bridge(down));
    now += 1000;
    void outage.bridge(() => new Promise<never>(() => undefined));
    await assert.rejects(outage.bridge(change), StoreUnavailable);
    now += 5000;
    assert.equal(await outage.bridge(change), "done");
  });

  it("repeats nothing of which it isn't known whether it is done, and no defect", async () => {
    const cut = outage.bridge((attempt) => {
      tries += 1;
      attempt.phase = "committing";
      return Promise.reject(unavailable("PROTOCOL_CONNECTION_LOST"));
    });
    await assert.rejects(cut, CommitInDoubt);
    await assert.rejects(
      outage.bridge(() => {
        tries += 1;
        return Promise.reject(new RangeError("of the work itself"));
      }),
      RangeError,
    );
    assert.equal(tries, 2);
  });
});

describe("a change that may be made twice", () => {
  it("is made again, once, only when it is in doubt", async () => {
    const ends: Error[] = [new CommitInDoubt(undefined)];
    assert.equal(
      await evenTwice(() => (ends.length > 0 ? Promise.reject(ends.pop() as Error) : Promise.resolve(7))),
      7,
    );
    let tries = 0;
    const always = (error: Error) => (): Promise<never> => {
      tries += 1;
      return Promise.reject(error);
    };
    await assert.rejects(evenTwice(always(new CommitInDoubt(undefined))), CommitInDoubt);
    assert.equal(tries, 2);
    await assert.rejects(evenTwice(always(new StoreUnavailable(undefined))), StoreUnavailable);
    assert.equal(tries, 3);
  });
});
