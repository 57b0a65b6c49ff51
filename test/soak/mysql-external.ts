/** Brings the lab's platform up on a MySQL server of an operator's own, and sends a card through it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { accountNamed, catalogue } from "@tokenshield/mysql";
import { asOperator, asPlain, outsideHost, removeOutside, startOutside } from "../lab/mysql/outside-server.ts";
import { upWith } from "../lab/mysql/settings.ts";
import { succeed } from "../lab/support/deploy.ts";
import { attemptLab, lab } from "../lab/support/lab.ts";

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function campaign(): Promise<void> {
  await lab(["up"]);
  await succeed("destroy", "--yes");
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-outside-"));
  const caFile = join(folder, "authority.pem");
  try {
    writeFileSync(caFile, await startOutside());
    const began = performance.now();
    const up = upWith(() => ({ kind: "external", host: outsideHost, port: 3306, cidrs: ["10.213.0.0/16"], caFile }));
    const [, password] = await Promise.all([up, makeAccount()]);
    const printed = await up;
    print(`up on ${outsideHost} in ${((performance.now() - began) / 1000).toFixed(0)} s, which ended with:`);
    print(printed.slice(-2_500));
    const cards = await asOperator("SELECT COUNT(*) FROM tokenshield.credit_cards");
    print(`cards in the server: ${cards.trim()}`);
    const versions = await asOperator(sessions);
    print(`sessions of the application and their TLS:\n${versions}`);
    const plain = await asPlain(password);
    print(`without TLS: ${plain.trim()}`);
    if (!/^[1-9]\d*$/m.test(cards)) throw new Error("the demo's card isn't in the operator's server");
    if (!versions.includes("TLSv1.")) throw new Error("the application has no session with TLS");
    if (!/denied|require_secure_transport|insecure transport/i.test(plain))
      throw new Error("a login without TLS passes");
  } finally {
    await succeed("destroy", "--yes");
    await removeOutside();
    rmSync(folder, { recursive: true, force: true });
  }
}

const sessions = `SELECT DISTINCT t.processlist_user, s.variable_value FROM performance_schema.threads t
  JOIN performance_schema.status_by_thread s USING (thread_id)
  WHERE t.processlist_user = 'tokenshield' AND s.variable_name = 'Ssl_version'`;

/** What the operator does: schema and account, with the login that lies in Vault and the rights that the docs name. @returns the login's password */
async function makeAccount(): Promise<string> {
  const path = "tokenshield-lab/tenants/acme/database_credentials";
  const end = Date.now() + 300_000;
  for (;;) {
    const { status, stdout } = await attemptLab(["vault", "kv", "get", "-format=json", path]);
    if (status === 0) {
      const { data } = JSON.parse(stdout) as { data: { data: { username: string; password: string } } };
      const { username, password } = data.data;
      const rights = accountNamed(catalogue("tokenshield"), "app").rights.flatMap(({ privileges }) => privileges);
      await asOperator(
        `CREATE DATABASE tokenshield; CREATE USER '${username}'@'%' IDENTIFIED BY '${password}' REQUIRE SSL;
         GRANT ${rights.join(", ")} ON tokenshield.* TO '${username}'@'%';`,
      );
      return password;
    }
    if (Date.now() > end) throw new Error(`Vault has no ${path} after 5 minutes`);
    await sleep(1_000);
  }
}

if (process.argv.includes("--help")) {
  print("usage: npm run soak -- mysql-external   (about 5 min; takes the lab's platform down before and after)");
} else {
  await campaign();
}
