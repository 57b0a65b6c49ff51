/** Restarts, resizes and grows the lab's MySQL group pod by pod under writes, and counts hand-overs and lost rows. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { killPods } from "../lab/mysql/disturbances.ts";
import { ClientPod, membersOf, wholeGroup } from "../lab/mysql/group.ts";
import { upWithGroup } from "../lab/mysql/settings.ts";
import { restartAll, updating } from "../lab/mysql/updates.ts";
import { succeed } from "../lab/support/deploy.ts";

const help = `usage: npm run soak -- mysql-updates [--restarts N] [--five]

  --restarts  how many rolling restarts (default 3)
  --five      grows the group to five members, kills two of them, and shrinks it again, instead of the rest
`;

const { values } = parseArgs({
  options: {
    restarts: { type: "string", default: "3" },
    five: { type: "boolean" },
    help: { type: "boolean" },
  },
});
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const three = membersOf(3);
const five = membersOf(5);
let caBundle = "";

if (values.help === true) {
  print(help);
} else {
  await succeed("up", "--yes");
  const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
    tenants: Record<string, { caBundle: string }>;
  };
  caBundle = outputs.tenants["acme"]?.caBundle ?? "";
  await wholeGroup(three);
  await (values.five === true ? grow() : update(Number(values.restarts)));
}

async function update(restarts: number): Promise<void> {
  if (!Number.isInteger(restarts) || restarts < 0 || restarts > 50) {
    throw new Error(`--restarts: expected a whole number from 0 to 50, given ${values.restarts}`);
  }
  for (let restart = 1; restart <= restarts; restart += 1) {
    await underWrites(`restart ${restart}`, three, () => restartAll(three));
    await settle();
  }
  await underWrites("more CPU and memory", three, () =>
    updating(() => upWithGroup({ memory: "896Mi", cpuRequest: "150m" }), three),
  );
  await settle();
  await underWrites("back to less", three, () => updating(() => succeed("up", "--yes"), three));
}

/** A last member that leads hands over after a minute. */
async function settle(): Promise<void> {
  const end = Date.now() + 120_000;
  while ((await wholeGroup(three)) === three.at(-1) && Date.now() < end) await sleep(2_000);
}

async function grow(): Promise<void> {
  await underWrites("three to five members", five, () => updating(() => upWithGroup({ members: 5 }), five, three));
  await underWrites("two of five killed, the primary among them", five, async () => {
    const began = await wholeGroup(five);
    const start = performance.now();
    const [another = ""] = five.filter((name) => name !== began);
    await killPods(began, another);
    await sleep(3_000);
    return { began, ended: await wholeGroup(five), seconds: (performance.now() - start) / 1000 };
  });
  await underWrites("five to three members", three, () => updating(() => succeed("up", "--yes"), three, five));
}

/** Does something while a client writes, and tells what the client saw; it looks for its rows on `members` at the end. */
async function underWrites(
  what: string,
  members: readonly string[],
  work: () => Promise<{ readonly began: string; readonly ended: string; readonly seconds: number }>,
): Promise<void> {
  const client = await ClientPod.start(caBundle, { writers: 12, pause: 35, knock: 100 }, members);
  try {
    await sleep(4_000);
    const { acknowledged, seconds: time } = await client.mark();
    const { began, ended, seconds } = await work();
    await sleep(1_000);
    const { outage } = await client.mark();
    const { acknowledged: all, lost, terms, refusedLogins } = await client.stop();
    print(`${what}: ${seconds.toFixed(0)} s, ${(acknowledged / time).toFixed(0)} rows a second before it`);
    print(`  longest time without an acknowledged row ${outage.toFixed(1)} s, ${terms.length - 1} hand-overs`);
    print(
      `  led by ${began}, then by ${ended}; terms ${terms.map(({ server, seconds }) => `${server}: ${seconds.toFixed(1)} s`).join(", ")}`,
    );
    print(
      `  ${all} rows acknowledged; members that lack some: ${JSON.stringify(lost)}; ${refusedLogins} logins refused`,
    );
    if (Object.keys(lost).length > 0 || refusedLogins > 0) process.exitCode = 1;
  } finally {
    await client.remove();
  }
}
