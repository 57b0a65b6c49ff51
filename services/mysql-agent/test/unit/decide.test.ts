import assert from "node:assert/strict";
import fc from "fast-check";
import { groupCertificate } from "../../src/certificate.ts";
import { type Action, decide, type Situation } from "../../src/decide.ts";
import type { GroupRecord, OwnState, Report, Seen, ServerView, UpView } from "../../src/members.ts";

const source = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const other = "4e11fa47-71ca-11e1-9e33-c80aa9429562";
const members = ["m-0", "m-1", "m-2"];

const member = (uuid: string, state: Seen["state"] = "online", role: Seen["role"] = "secondary"): Seen => ({
  uuid,
  host: uuid,
  port: 3306,
  state,
  role,
});
const whole = [member("m-0", "online", "primary"), member("m-1"), member("m-2")];
const up = (uuid: string, state: OwnState, more: Partial<UpView> = {}): UpView => ({
  kind: "up",
  uuid,
  state,
  role: state === "offline" ? undefined : "secondary",
  executed: `${source}:1-10`,
  received: "",
  purged: "",
  view: state === "offline" ? [] : whole,
  clone: undefined,
  cloned: false,
  certificate: "present",
  ...more,
});
const report = (name: string, server: ServerView, more: Partial<Report> = {}): Report => ({
  member: name,
  incarnation: "i",
  sequence: 1,
  epoch: 4,
  errand: undefined,
  server,
  ...more,
});
const record: GroupRecord = { epoch: 4, holder: "m-0", committed: `${source}:1-10`, assumeLost: undefined };

function at(own: ServerView, heard: Readonly<Record<string, Report>>, more: Partial<Situation> = {}): Situation {
  return {
    self: "m-1",
    members,
    group: record,
    own: report("m-1", own),
    heard: new Map(Object.entries(heard)),
    leaving: false,
    cloneBeyond: 100,
    wholeFor: 0,
    ...more,
  };
}
const offline = (name: string, executed = `${source}:1-10`, more: Partial<Report> = {}): Report =>
  report(name, up(name, "offline", { executed }), more);
const online = (name: string, more: Partial<UpView> = {}): Report => report(name, up(name, "online", more));
const kind = (action: Action): string => (action.kind === "blocked" ? `blocked: ${action.by}` : action.kind);

describe("the decision of a member that is out of the group", () => {
  const cases: readonly (readonly [string, string, Situation])[] = [
    ["waits for a server that gives no answer", "none", at({ kind: "down", why: "no connection" }, {})],
    ["waits for one that is not settled", "none", at({ kind: "unsettled", why: "a former agent" }, {})],
    ["joins a group that lives", "join", at(up("m-1", "offline"), { "m-0": online("m-0") })],
    [
      "joins by what it can still get from the binary logs",
      "join",
      at(up("m-1", "offline", { executed: `${source}:1-5` }), { "m-0": online("m-0", { purged: `${source}:1-5` }) }),
    ],
    [
      "clones where the binary logs no longer reach back",
      "clone",
      at(up("m-1", "offline", { executed: `${source}:1-4` }), { "m-0": online("m-0", { purged: `${source}:1-5` }) }),
    ],
    [
      "clones where it lacks too much",
      "clone",
      at(up("m-1", "offline"), { "m-0": online("m-0", { executed: `${source}:1-111` }) }),
    ],
    [
      "does not clone again what a clone has just brought and the writers have left behind",
      "join",
      at(up("m-1", "offline", { cloned: true }), { "m-0": online("m-0", { executed: `${source}:1-500` }) }),
    ],
    [
      "clones again where the binary logs don't reach back to the clone",
      "clone",
      at(up("m-1", "offline", { cloned: true }), {
        "m-0": online("m-0", { executed: `${source}:1-500`, purged: `${source}:1-400` }),
      }),
    ],
    [
      "is kept out with transactions that the group lacks",
      "blocked: errant",
      at(up("m-1", "offline", { executed: `${source}:1-10,${other}:1` }), { "m-0": online("m-0") }),
    ],
    [
      "is kept out with received transactions that the group lacks",
      "blocked: errant",
      at(up("m-1", "offline", { received: `${source}:11` }), { "m-0": online("m-0") }),
    ],
    [
      "does not join an isolated member",
      "none",
      at(up("m-1", "offline"), {
        "m-0": online("m-0", { view: [member("m-0"), member("m-1", "unreachable"), member("m-2", "unreachable")] }),
        "m-2": offline("m-2"),
      }),
    ],
    [
      "does not join what two of three have fallen out of, though the third has not noticed",
      "none",
      at(up("m-1", "offline"), { "m-0": offline("m-0"), "m-2": online("m-2") }),
    ],
    [
      "joins a group that has not noticed yet that this member fell out",
      "join",
      at(up("m-1", "offline"), { "m-0": online("m-0"), "m-2": online("m-2") }),
    ],
    ["waits while one is unheard", "blocked: unheard", at(up("m-1", "offline"), { "m-0": offline("m-0") })],
    [
      "waits while one does not answer",
      "blocked: unheard",
      at(up("m-1", "offline"), { "m-0": offline("m-0"), "m-2": report("m-2", { kind: "down", why: "" }) }),
    ],
    [
      "waits while one is in an error state",
      "none",
      at(up("m-1", "offline"), { "m-0": offline("m-0"), "m-2": report("m-2", up("m-2", "error")) }),
    ],
    [
      "waits while one is busy",
      "none",
      at(up("m-1", "offline"), { "m-0": offline("m-0", undefined, { errand: "join" }), "m-2": offline("m-2") }),
    ],
    [
      "waits while one has not seen the present epoch",
      "none",
      at(up("m-1", "offline"), { "m-0": offline("m-0", undefined, { epoch: 3 }), "m-2": offline("m-2") }),
    ],
    [
      "starts the group with the most transactions",
      "bootstrap",
      at(up("m-1", "offline", { executed: `${source}:1-11` }), { "m-0": offline("m-0"), "m-2": offline("m-2") }),
    ],
    [
      "starts the group with what it has received and not applied",
      "bootstrap",
      at(up("m-1", "offline", { received: `${source}:11` }), { "m-0": offline("m-0"), "m-2": offline("m-2") }),
    ],
    [
      "leaves the start to one with more",
      "none",
      at(up("m-1", "offline"), { "m-0": offline("m-0"), "m-2": offline("m-2", `${source}:1-11`) }),
    ],
    [
      "does not count transactions: another history is no smaller one",
      "blocked: diverged",
      at(up("m-1", "offline", { executed: `${source}:1-100` }), {
        "m-0": offline("m-0", `${source}:1-10,${other}:1`),
        "m-2": offline("m-2"),
      }),
    ],
    [
      "does not start a group that lost what it had committed",
      "blocked: lost",
      at(
        up("m-1", "offline"),
        { "m-0": offline("m-0"), "m-2": offline("m-2") },
        { group: { ...record, committed: `${source}:1-12` } },
      ),
    ],
    [
      "goes by an operator's word in the epoch that it names",
      "bootstrap",
      at(
        up("m-1", "offline", { executed: `${source}:1-11` }),
        { "m-0": offline("m-0") },
        { group: { ...record, committed: `${source}:1-12`, assumeLost: { epoch: 4, members: ["m-2"] } } },
      ),
    ],
    [
      "does not go by an operator's word of an epoch before",
      "blocked: unheard",
      at(
        up("m-1", "offline", { executed: `${source}:1-11` }),
        { "m-0": offline("m-0") },
        { group: { ...record, assumeLost: { epoch: 3, members: ["m-2"] } } },
      ),
    ],
    [
      "does not go by an operator's word against a member that is in a group",
      "none",
      at(
        up("m-1", "offline", { executed: `${source}:1-11` }),
        { "m-0": offline("m-0"), "m-2": report("m-2", up("m-2", "recovering")) },
        { group: { ...record, assumeLost: { epoch: 4, members: ["m-2"] } } },
      ),
    ],
    ["does nothing where the record can't be read", "none", at(up("m-1", "offline"), {}, { group: undefined })],
    ["takes itself out after an error", "stop", at(up("m-1", "error"), {}, { group: undefined })],
    ["is left alone while it catches up", "none", at(up("m-1", "recovering"), {})],
    ["has left when asked to", "left", at(up("m-1", "offline"), {}, { leaving: true })],
    ["stops when asked to, as a secondary", "stop", at(up("m-1", "online"), {}, { leaving: true })],
    [
      "hands over when asked to, as the primary",
      "hand-over",
      at(up("m-0", "online", { role: "primary" }), {}, { leaving: true }),
    ],
    [
      "stops when asked to, as a primary with nobody to hand over to",
      "stop",
      at(up("m-0", "online", { role: "primary", view: [member("m-0")] }), {}, { leaving: true }),
    ],
  ];
  for (const [title, expected, situation] of cases) {
    it(title, () => {
      assert.equal(kind(decide(situation)), expected, JSON.stringify(decide(situation)));
    });
  }

  const heirOf = (action: Action): string => (action.kind === "hand-over" ? action.to.uuid : action.kind);
  const led = (primary: string, self: string, more: Partial<Situation> = {}): string => {
    const view = members.map((name) => member(name, "online", name === primary ? "primary" : "secondary"));
    const role = primary === self ? "primary" : "secondary";
    const heard = Object.fromEntries(members.filter((name) => name !== self).map((name) => [name, online(name)]));
    return heirOf(decide(at(up(self, "online", { role, view }), heard, { self, ...more })));
  };

  it("hands over to the next one, which an update from the last to the first has been to already", () => {
    const leaving = { leaving: true };
    assert.deepEqual([led("m-0", "m-0", leaving), led("m-1", "m-1", leaving)], ["m-1", "m-2"]);
    assert.equal(led("m-2", "m-2", leaving), "m-0", "after the last comes the first");
  });

  it("hands over as the last one, which an update begins with, once all have been well for a minute", () => {
    assert.equal(led("m-2", "m-2", { wholeFor: 60_000 }), "m-0");
    assert.equal(led("m-2", "m-2", { wholeFor: 59_000 }), "none", "an update may be under way");
    assert.equal(led("m-1", "m-1", { wholeFor: 600_000 }), "none", "no other needs to");
    assert.equal(led("m-0", "m-2", { wholeFor: 600_000 }), "none", "it isn't the primary");
  });

  it("takes an idle secondary for the donor before the primary and before one that gives a clone already", () => {
    const far = { executed: `${source}:1-500` };
    const heard = {
      "m-0": online("m-0", { ...far, role: "primary" }),
      "m-2": online("m-2", far),
    };
    assert.deepEqual(decide(at(up("m-1", "offline"), heard)), { kind: "clone", donor: "m-2" });
    const busy = { ...heard, "m-2": online("m-2", { ...far, clone: "donor" }) };
    assert.deepEqual(decide(at(up("m-1", "offline"), busy)), { kind: "clone", donor: "m-0" });
  });
});

describe("a member whose certificate was renewed", () => {
  const former = { certificate: "former" } as const;
  const expired = { certificate: "expired" } as const;
  const alone = { view: [member("m-1", "online", "primary")], role: "primary" } as const;
  const cases: readonly (readonly [string, string, Situation])[] = [
    ["stays where nothing was renewed", "none", at(up("m-1", "online"), { "m-0": online("m-0", { role: "primary" }) })],
    ["leaves to come back with the new one", "stop", at(up("m-1", "online", former), {})],
    [
      "waits for one before it",
      "none",
      at(up("m-1", "online", former), { "m-0": online("m-0", former), "m-2": online("m-2", former) }),
    ],
    [
      "goes before the primary and before those after it",
      "stop",
      at(up("m-1", "online", former), {
        "m-0": online("m-0", { ...former, role: "primary" }),
        "m-2": online("m-2", former),
      }),
    ],
    [
      "is the last as the primary",
      "none",
      at(up("m-1", "online", { ...former, role: "primary" }), { "m-2": online("m-2", former) }),
    ],
    [
      "hands over as the primary once the others are done",
      "hand-over",
      at(up("m-1", "online", { ...former, role: "primary" }), { "m-0": online("m-0"), "m-2": online("m-2") }),
    ],
    [
      "waits while a member is away",
      "none",
      at(up("m-1", "online", { ...former, view: [member("m-0"), member("m-1"), member("m-2", "unreachable")] }), {}),
    ],
    [
      "waits while a member catches up",
      "none",
      at(up("m-1", "online", { ...former, view: [member("m-0"), member("m-1"), member("m-2", "recovering")] }), {}),
    ],
    [
      "waits while an agent is at work",
      "none",
      at(up("m-1", "online", former), { "m-2": report("m-2", up("m-2", "offline"), { errand: "join" }) }),
    ],
    [
      "stays while it is the only one left",
      "none",
      at(up("m-1", "online", { ...former, ...alone }), { "m-0": offline("m-0"), "m-2": offline("m-2") }),
    ],
    [
      "ends a group that nobody can join any more",
      "stop",
      at(up("m-1", "online", { ...expired, ...alone }), { "m-0": offline("m-0"), "m-2": offline("m-2") }),
    ],
    [
      "doesn't end a group for members that aren't there",
      "none",
      at(up("m-1", "online", { ...expired, ...alone }), { "m-0": offline("m-0") }),
    ],
  ];
  for (const [title, expected, situation] of cases) {
    it(title, () => {
      assert.equal(kind(decide(situation)), expected, JSON.stringify(decide(situation)));
    });
  }

  it("never leaves together with another one", () => {
    const roles = fc.constantFrom("m-0", "m-1", "m-2");
    const certificates = fc.tuple(...members.map(() => fc.constantFrom("present", "former", "expired")));
    fc.assert(
      fc.property(roles, certificates, (primary, kinds) => {
        const view = members.map((name) => member(name, "online", name === primary ? "primary" : "secondary"));
        const reports = members.map((name, index) =>
          online(name, {
            view,
            role: name === primary ? "primary" : "secondary",
            certificate: kinds[index] ?? "present",
          }),
        );
        const going = reports.filter((own) => {
          const heard = new Map(
            reports.filter(({ member: name }) => name !== own.member).map((one) => [one.member, one]),
          );
          const situation = { ...at(up("m-1", "online"), {}), self: own.member, own, heard };
          return decide(situation).kind !== "none";
        });
        assert.ok(going.length <= 1, going.map(({ member: name }) => name).join(", "));
        assert.equal(going.length, kinds.every((one) => one === "present") ? 0 : 1);
      }),
    );
  });
});

describe("the certificate of a group's connections", () => {
  const file = { writtenAt: 1_000, life: 600, until: "" };

  it("is the one in the file where the server joined after it was written", () => {
    assert.equal(groupCertificate(file, 1_001, 5_000), "present");
    assert.equal(groupCertificate(file, undefined, 5_000), "present");
  });

  it("is a former one where the file was written later, until that has expired for certain", () => {
    assert.equal(groupCertificate(file, 990, 1_100), "former");
    assert.equal(groupCertificate(file, 990, 1_589), "former");
    assert.equal(groupCertificate(file, 990, 1_591), "expired");
  });
});

describe("the decisions of all members together", () => {
  const states: fc.Arbitrary<ServerView> = fc.oneof(
    fc.constant<ServerView>({ kind: "down", why: "" }),
    fc
      .record({
        state: fc.constantFrom<OwnState>("offline", "offline", "offline", "recovering", "online", "error"),
        last: fc.integer({ min: 1, max: 4 }),
        view: fc.constantFrom(whole, [member("m-0"), member("m-1", "unreachable"), member("m-2", "unreachable")]),
      })
      .map(({ state, last, view }) =>
        up("m-0", state, { executed: `${source}:1-${last}`, view: state === "offline" ? [] : view }),
      ),
  );

  it("name at most one to start the group, with every transaction, and none while any server is in a group", () => {
    fc.assert(
      fc.property(fc.tuple(states, states, states), fc.nat(5), (servers, epoch) => {
        const group = { epoch, holder: undefined, committed: "", assumeLost: undefined };
        const reports = servers.map((server, index) => report(`m-${index}`, server, { epoch }));
        const starters = reports.filter((own) => {
          const heard = new Map(reports.filter((each) => each !== own).map((each) => [each.member, each]));
          const situation = {
            self: own.member,
            members,
            group,
            own,
            heard,
            leaving: false,
            cloneBeyond: 9,
            wholeFor: 0,
          };
          return decide(situation).kind === "bootstrap";
        });
        assert.ok(starters.length <= 1);
        const all = servers.every((server) => server.kind === "up" && server.state === "offline");
        assert.equal(starters.length, all ? 1 : 0);
      }),
      { numRuns: 1_000 },
    );
  });
});
