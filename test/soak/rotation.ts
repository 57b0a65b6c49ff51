/** Rotates the database's accounts again and again under load: every value in use by all, every old one refused, no request failed. */
import { parseArgs } from "node:util";
import { accountNamed, catalogue, text, withSession } from "@tokenshield/mysql";
import { RotationPlatform } from "../lab/rotation/platform.ts";
import { groups } from "../lab/rotation/values.ts";
import { lab } from "../lab/support/lab.ts";

const { values } = parseArgs({
  options: {
    rotations: { type: "string", default: "1000" },
    accounts: { type: "string", default: "application" },
    members: { type: "string", default: "1" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  process.stdout.write(
    "usage: npm run soak -- rotation [--rotations N] [--accounts application|all] [--members 1|3]\n" +
      "  default 1000 rotations of the application's account, and of the one that changes it, in a group of one\n",
  );
} else {
  await campaign(Number(values.rotations), Number(values.members));
}

async function campaign(rotations: number, members: number): Promise<void> {
  if (!Number.isInteger(rotations) || rotations < 1 || rotations > 10_000) {
    throw new Error("--rotations: expected a whole number from 1 to 10000");
  }
  const names = values.accounts === "all" ? Object.keys(groups) : ["database_credentials", "database_rotation"];
  const root = (await lab(["root", "mysql"])).trim();
  const program = (await lab(["program", "vault"])).trim();
  const platform = await RotationPlatform.start(root, program, members, names);
  platform.graceSeconds = 0;
  // Servers must not outlive a campaign that is broken off.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      void platform.stop().finally(() => process.exit(1));
    });
  }
  try {
    await rotateAgainAndAgain(platform, names, rotations);
  } finally {
    await platform.stop();
  }
}

async function rotateAgainAndAgain(
  platform: RotationPlatform,
  names: readonly string[],
  rotations: number,
): Promise<void> {
  const accounts = catalogue("tokenshield");
  const started = performance.now();
  const took: number[] = [];
  const before = await memoryAndConnections(platform);
  for (let round = 1; round <= rotations; round += 1) {
    const old = await platform.published("database_credentials");
    const generation = await platform.stage();
    const begun = performance.now();
    for (const verb of ["job", "sweep"]) {
      const { status, stdout, stderr } = await platform.rotator([verb]);
      if (status !== 0) throw new Error(`rotation ${round}: ${verb} ended with ${status}:\n${stdout}${stderr}`);
    }
    took.push((performance.now() - begun) / 1000);
    platform.output = "";
    const { phase } = await platform.ledger();
    if (phase !== "closed") throw new Error(`rotation ${round} is ${phase}`);
    const late = platform.clients.filter((client) => client.generation !== generation);
    if (late.length > 0) throw new Error(`rotation ${round}: ${late.map(({ name }) => name).join(", ")} came not over`);
    const application = accountNamed(accounts, "app");
    const accepting = await platform.group.rotation().accepting(application, old["password"] ?? "");
    if (accepting.length > 0) throw new Error(`rotation ${round}: the old value is still accepted`);
    const refused = platform.clients.reduce((sum, client) => sum + client.refused, 0);
    const { failed, requests } = platform.tokenizer;
    if (refused > 0 || failed.length > 0)
      throw new Error(`rotation ${round}: ${refused} logins refused, ${failed.join("; ")}`);
    if (round % 20 === 0 || round === rotations) {
      process.stdout.write(
        `${round} rotations of ${names.length} accounts in ${seconds(started)} s: ${requests} requests and ` +
          `${platform.clients.reduce((sum, client) => sum + client.logins, 0)} logins, none refused; ` +
          `${await memoryAndConnections(platform)}\n`,
      );
    }
  }
  const sorted = [...took].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
  process.stdout.write(
    `${rotations} rotations: store to closed ${at(0.5)} s median, ${at(0.95)} s p95, ${at(1)} s at most; at the start ` +
      `${before}\n`,
  );
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0);
}

/** What the tokenizer holds of memory, with garbage and without, and of the database. */
async function memoryAndConnections(platform: RotationPlatform): Promise<string> {
  const resident = platform.tokenizer.memory();
  const live = await platform.tokenizer.liveHeap();
  return `tokenizer ${resident} MiB resident, ${live.toFixed(1)} MiB of heap in use, ${await connections(platform)} connections`;
}

/** Connections of the application's account. */
async function connections(platform: RotationPlatform): Promise<number> {
  const [member] = platform.group.members;
  if (member === undefined) return 0;
  const row = await withSession(platform.group.login(member, "root"), (session) =>
    session.one("SELECT COUNT(*) AS count FROM performance_schema.processlist WHERE USER = 'tokenshield'"),
  );
  return Number(text(row, "count"));
}
