/** Kills members of the lab's MySQL group at random under writes, and counts what became of every acknowledged row. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { disturbances, type Kind } from "../lab/mysql/disturbances.ts";
import { Figures, type Round, shuffled } from "../lab/mysql/figures.ts";
import { ClientPod, membersOf, namespace, wholeGroup } from "../lab/mysql/group.ts";
import { succeed } from "../lab/support/deploy.ts";
import { attemptLab } from "../lab/support/lab.ts";

const help = `usage: npm run soak -- mysql-group [--rounds N] [--minutes N] [--members N] [--pause N]
       [--figures FILE]

  --rounds   how many disturbances, 1 to 500 (default 30, about 45 s each)
  --minutes  begins no further one after this time
  --members  size of the lab's group, 3 or 5 (default 3)
  --pause    milliseconds that each of the 12 writers waits after a row, 1 to 1000 (default 35, about 250 rows a second:
             what members that come back can catch up with on two processors)
  --figures  file that each round's figures are added to, so that several campaigns are told as one; kinds that are
             seldom in it come first
`;

/** How long a group may take to heal, in milliseconds. Longer than it should: the rows of a slow round are counted, too. */
const patience = 900_000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "30" },
    minutes: { type: "string", default: "120" },
    members: { type: "string", default: "3" },
    pause: { type: "string", default: "35" },
    figures: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help === true) print(help);
else await campaign(Number(values.rounds), Number(values.members), new Figures(values.figures));

async function campaign(rounds: number, size: number, figures: Figures): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 500) {
    throw new Error(`--rounds: expected a whole number from 1 to 500, given ${values.rounds}`);
  }
  if (size !== 3 && size !== 5) throw new Error(`--members: expected 3 or 5, given ${values.members}`);
  const pause = Number(values.pause);
  if (!Number.isInteger(pause) || pause < 1 || pause > 1000) {
    throw new Error(`--pause: expected a whole number from 1 to 1000, given ${values.pause}`);
  }
  const members = membersOf(size);
  await succeed("up", "--yes");
  const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
    tenants: Record<string, { caBundle: string }>;
  };
  await wholeGroup(members);
  const client = await ClientPod.start(
    outputs.tenants["acme"]?.caBundle ?? "",
    { writers: 12, pause, knock: 100 },
    members,
  );
  try {
    const began = performance.now();
    const end = began + Number(values.minutes) * 60_000;
    for (let round = 1; round <= rounds && performance.now() < end; round += 1) {
      const one = await disturb(client, members, figures.seldom());
      figures.add(one);
      const { kind, rate, outage, healed } = one;
      print(`${round} of ${rounds}: ${kind}: ${rate.toFixed(0)} rows a second before it, write outage `);
      print(`${outage.toFixed(1)} s, whole after ${healed.toFixed(1)} s\n`);
    }
    figures.add({ seconds: (performance.now() - began) / 1000, verdict: await client.stop() });
  } catch (error) {
    print(await logs(members));
    throw error;
  } finally {
    await client.remove();
  }
  if (!figures.tell(print)) process.exitCode = 1;
}

async function disturb(client: ClientPod, members: readonly string[], kind: Kind): Promise<Round> {
  const primary = await wholeGroup(members);
  await client.mark();
  await sleep(4_000);
  const { acknowledged, seconds } = await client.mark();
  if (acknowledged === 0) throw new Error(`nothing was written before: ${kind}`);
  const others = shuffled(members.filter((member) => member !== primary));
  const began = performance.now();
  await disturbances[kind]({ primary, others });
  await sleep(3_000);
  await wholeGroup(members, patience);
  const healed = (performance.now() - began) / 1000;
  await sleep(1_000);
  const { outage } = await client.mark();
  return { kind, rate: acknowledged / seconds, outage, healed };
}

async function logs(members: readonly string[]): Promise<string> {
  const ends = members.flatMap((member) =>
    ["mysql-agent", "mysql"].map(async (container) => {
      const words = ["kubectl", "-n", namespace, "logs", member, "-c", container, "--tail=40"];
      const { stdout, stderr } = await attemptLab(words);
      return `--- ${member} ${container}\n${stdout}${stderr}`;
    }),
  );
  return (await Promise.all(ends)).join("\n");
}

function print(text: string): void {
  process.stdout.write(text);
}
