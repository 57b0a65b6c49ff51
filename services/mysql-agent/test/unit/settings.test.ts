import assert from "node:assert/strict";
import { catalogue, initialStatements, parseGrants } from "@tokenshield/mysql";
import { AgentError } from "../../src/errors.ts";
import { readLease, readRecord, readReport } from "../../src/kubernetes/objects.ts";
import type { Report } from "../../src/members.ts";
import { readSettings } from "../../src/settings.ts";

const good = {
  MYSQL_GROUP: "mysql",
  MYSQL_GROUP_NAME: "7d9f1c9e-5a1b-4c58-9d0f-0a4f8f2f3b11",
  MYSQL_MEMBER: "mysql-1",
  MYSQL_MEMBERS: "mysql-0=a.svc:3306:33061,mysql-1=b.svc:3306:33061,mysql-2=c.svc:3306:33061",
  KUBERNETES_SERVICE_HOST: "10.0.0.1",
  KUBERNETES_SERVICE_PORT: "443",
  KUBERNETES_NAMESPACE: "tokenshield",
};

describe("the settings", () => {
  it("name the members and which of them this one is", () => {
    const { self, MYSQL_MEMBERS: members, AGENT_PORT: port } = readSettings(good);
    assert.deepEqual(self, { name: "mysql-1", host: "b.svc", port: 3306, groupPort: 33061 });
    assert.equal(members.length, 3);
    assert.equal(port, 9104);
  });

  it("name where new secrets are told of, and by whom", () => {
    const told = { AGENT_REFRESH_PORT: "9106", AGENT_REFRESH_CALLER: "rotator.acme.svc" };
    const { refresh } = readSettings({ ...good, ...told, TENANT_ID: "acme", MYSQL_TLS_CERT: "/certificates/tls.pem" });
    assert.deepEqual(refresh, {
      port: 9106,
      caller: "rotator.acme.svc",
      tenant: "acme",
      bundle: "/certificates/tls.pem",
    });
    assert.equal(readSettings(good).refresh, undefined);
  });

  const cases: readonly (readonly [string, NodeJS.ProcessEnv, RegExp])[] = [
    [
      "an even number of members",
      { MYSQL_MEMBERS: "mysql-1=b:1:2,mysql-0=a:1:2" },
      /MYSQL_MEMBERS: expected an odd number/,
    ],
    ["a member twice", { MYSQL_MEMBERS: "mysql-1=b:1:2,mysql-1=a:1:2,mysql-0=c:1:2" }, /expected each member once/],
    ["a member that is none of them", { MYSQL_MEMBER: "mysql-7" }, /MYSQL_MEMBER: expected one of MYSQL_MEMBERS/],
    ["a group name that is no UUID", { MYSQL_GROUP_NAME: "group" }, /MYSQL_GROUP_NAME/],
    [
      "a port for new secrets that nobody may call",
      { AGENT_REFRESH_PORT: "9106", TENANT_ID: "acme", MYSQL_TLS_CERT: "/certificates/tls.pem" },
      /AGENT_REFRESH_PORT: expected AGENT_REFRESH_CALLER, TENANT_ID and MYSQL_TLS_CERT beside it/,
    ],
    ["a schema that could break out of its quotes", { MYSQL_SCHEMA: "a`b" }, /MYSQL_SCHEMA: expected letters/],
  ];
  for (const [what, difference, message] of cases) {
    it(`refuse ${what}`, () => {
      assert.throws(
        () => readSettings({ ...good, ...difference }),
        (error) => error instanceof AgentError && error.code === "SETTINGS" && message.test(error.message),
      );
    });
  }

  it("are refused all at once", () => {
    assert.throws(() => readSettings({}), /MYSQL_GROUP:[^]*MYSQL_MEMBERS:[^]*KUBERNETES_NAMESPACE:/);
  });
});

describe("what the agents leave in Leases", () => {
  const lease = (annotations: Readonly<Record<string, string>>, transitions = 3): ReturnType<typeof readLease> =>
    readLease({
      metadata: { name: "mysql", resourceVersion: "1", annotations },
      spec: { leaseTransitions: transitions, holderIdentity: "mysql-0" },
    });

  it("reads back a report as it was written, absent fields included", () => {
    const report: Report = {
      member: "mysql-0",
      incarnation: "i",
      sequence: 1,
      epoch: 3,
      errand: undefined,
      server: {
        kind: "up",
        uuid: "u",
        state: "offline",
        role: undefined,
        executed: "",
        received: "",
        purged: "",
        view: [],
        clone: undefined,
        cloned: false,
        certificate: "present",
      },
    };
    const read = readReport(lease({ "tokenization.io/mysql-report": JSON.stringify(report) }));
    assert.equal(JSON.stringify(read), JSON.stringify(report));
  });

  it("takes a report that it can't understand for none", () => {
    for (const text of ["not JSON", "{}", '{"member":"m","server":{"kind":"new"}}'])
      assert.equal(readReport(lease({ "tokenization.io/mysql-report": text })), undefined);
  });

  it("reads the record, with an operator's word and its epoch", () => {
    const word = { "tokenization.io/mysql-assume-lost": "3 mysql-1,mysql-2" };
    assert.deepEqual(readRecord(lease(word)), {
      epoch: 3,
      holder: "mysql-0",
      committed: "",
      assumeLost: { epoch: 3, members: ["mysql-1", "mysql-2"] },
    });
  });

  it("stops at an operator's word that it can't understand, rather than go without", () => {
    assert.throws(
      () => readRecord(lease({ "tokenization.io/mysql-assume-lost": "mysql-1" })),
      /expected "EPOCH MEMBER/,
    );
  });
});

describe("the accounts", () => {
  it("have no right on everything but what replication, backup and rotation can't do without", () => {
    const wide = catalogue("tokenshield").flatMap(({ name, rights }) =>
      rights.filter(({ on }) => on === "*.*").map(({ privileges }) => `${name}: ${privileges.join(", ")}`),
    );
    assert.deepEqual(wide, [
      "replication: BACKUP_ADMIN, CONNECTION_ADMIN, REPLICATION SLAVE",
      "backup: BACKUP_ADMIN, EVENT, LOCK TABLES, PROCESS, RELOAD, REPLICATION CLIENT, SELECT, SHOW VIEW, TRIGGER",
      "monitoring: PROCESS, REPLICATION CLIENT",
      "rotation: CREATE USER, SYSTEM_USER",
    ]);
  });

  it("read the grants that MySQL prints", () => {
    const lines = [
      "GRANT USAGE ON *.* TO `a`@`%`",
      "GRANT SELECT, INSERT ON `tokenshield`.* TO `a`@`%`",
      "GRANT `role`@`%` TO `a`@`%`",
    ];
    assert.deepEqual([...parseGrants(lines)], ["SELECT ON `tokenshield`.*", "INSERT ON `tokenshield`.*"]);
  });

  it("quote root's password in the first statements, and refuse one of more lines", () => {
    assert.match(initialStatements("it's \\ one"), /IDENTIFIED BY 'it\\'s \\\\ one'/);
    assert.throws(() => initialStatements("a\nb"), /expected one line/);
  });
});
