/** Rotates the password of each account of the lab's MySQL group under writes, with kills of every step, and back. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { asRoot } from "../lab/mysql/as-root.ts";
import { inServer } from "../lab/mysql/disturbances.ts";
import { ClientPod, members, wholeGroup } from "../lab/mysql/group.ts";
import {
  account,
  brokenLogins,
  closed,
  converged,
  newPassword,
  publish,
  published,
  rootAccepts,
  type Rotated,
  rotated,
  type Step,
  step,
  withPassword,
} from "../lab/mysql/passwords.ts";
import { succeed } from "../lab/support/deploy.ts";

const { values } = parseArgs({ options: { kills: { type: "string", default: "2" }, help: { type: "boolean" } } });
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const names = Object.keys(rotated) as readonly Rotated[];
let kills = 0;

if (values.help === true) {
  print(
    "usage: npm run soak -- mysql-passwords [--kills N]   (default 2 kills of each step of each account; about 8 min)",
  );
} else {
  await campaign(Number(values.kills));
}

async function campaign(killsEach: number): Promise<void> {
  if (!Number.isInteger(killsEach) || killsEach < 0 || killsEach > 20) {
    throw new Error(`--kills: expected a whole number from 0 to 20, given ${values.kills}`);
  }
  await succeed("up", "--yes");
  const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
    tenants: Record<string, { caBundle: string }>;
  };
  const primary = await wholeGroup();
  const visitors = (["replication", "backup", "monitoring"] as const).map((name) => ({
    user: account(name).user,
    passwordFile: `/mnt/secrets/${account(name).file}`,
  }));
  const client = await ClientPod.start(outputs.tenants["acme"]?.caBundle ?? "", { writers: 12, pause: 35, visitors });
  try {
    const first = new Map(await Promise.all(names.map(async (name) => [name, await published(name)] as const)));
    const next = new Map(names.map((name) => [name, newPassword()]));
    await rotate(client, 2, (name) => next.get(name) ?? "", killsEach);
    await rejoin();
    // Back to what the stack knows, so that it finds everything as it left it.
    await rotate(client, 3, (name) => first.get(name)?.["password"] ?? "", 0);
    await rejoin();
    const verdict = await client.stop();
    print(`${verdict.acknowledged} rows acknowledged; members that lack some: ${JSON.stringify(verdict.lost)}`);
    print(`${verdict.logins} logins of ${visitors.length + 1} accounts, ${verdict.refusedLogins} refused`);
    print(`${kills} kills of steps, each repaired by running the rotation again from its first step`);
    if (verdict.refusedLogins > 0 || Object.keys(verdict.lost).length > 0) process.exitCode = 1;
    await forget(await wholeGroup(), first);
  } catch (error) {
    print(`the primary was ${primary} at first`);
    throw error;
  } finally {
    await client.remove();
  }
}

/** Rotates all accounts, step by step together, as the volumes need a minute for each new value. */
async function rotate(
  client: ClientPod,
  generation: number,
  passwordOf: (name: Rotated) => string,
  killsEach: number,
): Promise<void> {
  const began = performance.now();
  const former = new Map(await Promise.all(names.map(async (name) => [name, await published(name)] as const)));
  const broken = await brokenLogins();
  const reads = (file: string): Promise<string> => client.read(`/mnt/secrets/${file}`);
  for (const name of names) {
    const password = passwordOf(name);
    await runToEnd(["retain", "verify"], name, { generation, password }, killsEach);
    await publish(name, withPassword(former.get(name) ?? {}, password));
  }
  for (const name of names) await converged(name, passwordOf(name), [reads]);
  print(
    `generation ${generation}: every pod has the new values after ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
  // Writers log in now and then; those who had read the former value must be through.
  await sleep(5_000);
  for (const name of names) {
    const password = passwordOf(name);
    await runToEnd(["retain", "verify", "discard"], name, { generation, password }, killsEach);
    await publish(name, closed(await published(name)));
  }
  await sleep(5_000);
  const seen = await brokenLogins();
  const more = members.map((member) => (seen.get(member) ?? 0) - (broken.get(member) ?? 0));
  print(`generation ${generation}: broken or refused connections meanwhile, by member: ${more.join(", ")}`);
  for (const name of names) {
    const old = former.get(name)?.["password"] ?? "";
    await step("refused", name, { generation, password: old });
    await step("verify", name, { generation, password: passwordOf(name) });
  }
  const [accepting, right] = [
    await rootAccepts(former.get("root")?.["password"] ?? ""),
    await rootAccepts(passwordOf("root")),
  ];
  if (accepting.length > 0) throw new Error(`root's old password is accepted by ${accepting.join(", ")}`);
  if (right.length < members.length) throw new Error(`root's new password is accepted by ${right.join(", ")} only`);
  print(`generation ${generation}: the old values of ${names.join(", ")} are refused by every member`);
}

/** Runs steps one after the other; each is killed at some moments, and after a kill all are run again from the first. */
async function runToEnd(
  steps: readonly Step[],
  name: Rotated,
  rotation: { readonly generation: number; readonly password: string },
  killsEach: number,
): Promise<void> {
  for (const [index, last] of steps.entries()) {
    for (let kill = 0; kill < killsEach; kill += 1) {
      const killAfter = 0.2 + Math.random() * 1.2;
      if ((await step(last, name, { ...rotation, killAfter })) === "killed") kills += 1;
      for (const before of steps.slice(0, index)) await step(before, name, rotation);
    }
    await step(last, name, rotation);
  }
}

/** A member that joins logs in as root and as the account of replication. */
async function rejoin(): Promise<void> {
  const primary = await wholeGroup();
  const [member = ""] = members.filter((name) => name !== primary);
  await inServer(member, 'kill -KILL "$(cat /run/mysqld/mysqld.pid)"');
  await sleep(3_000);
  await wholeGroup();
  print(`${member} was killed and has joined again with the present passwords`);
}

/** Numbers generations as the stack knows them. */
async function forget(primary: string, first: ReadonlyMap<Rotated, Readonly<Record<string, string>>>): Promise<void> {
  for (const name of names) {
    const { user, host } = account(name);
    const document = first.get(name) ?? {};
    const number = Number(document["generation"]);
    await asRoot(primary, `ALTER USER '${user}'@'${host}' ATTRIBUTE '{"generation": ${number}, "previous": null}'`);
    await publish(name, document);
  }
}
