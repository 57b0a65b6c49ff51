/** Kills random parts of the lab, repairs it by `up`, and checks that its data is intact. */
import { parseArgs } from "node:util";
import { kubectl, lab, labStatus, vault } from "../lab/support/lab.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "100" }, help: { type: "boolean" } } });
if (values.help === true) {
  process.stdout.write("usage: npm run soak -- lab [--rounds N]   (default 100, about 8 s each)\n");
} else {
  await soak(Number(values.rounds));
}

async function soak(rounds: number): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds: expected a whole number from 1");
  await lab(["up"]);
  await vault("secrets", "enable", "-path=soak", "-version=2", "kv");
  const times: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const { parts } = await labStatus();
    const victims = parts.filter(() => Math.random() < 0.4);
    for (const { pid } of victims) if (pid !== undefined) process.kill(pid, "SIGKILL");
    const began = performance.now();
    await lab(["up"]);
    times.push(performance.now() - began);
    await check(round);
    process.stdout.write(
      `round ${round} of ${rounds}: killed ${victims.map(({ name }) => name).join(", ") || "nothing"}, up in ${((times.at(-1) ?? 0) / 1000).toFixed(1)} s\n`,
    );
  }
  await vault("secrets", "disable", "soak");
  times.sort((one, other) => one - other);
  const at = (share: number): string =>
    ((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0) / 1000).toFixed(1);
  process.stdout.write(
    `${rounds} rounds, data intact in each; repair p50 ${at(0.5)} s, p95 ${at(0.95)} s, longest ${at(1)} s\n`,
  );
}

/** Each round writes its number to the cluster and to Vault, and finds there what the round before wrote. */
async function check(round: number): Promise<void> {
  const status = await labStatus();
  if (status.state !== "up" || status.vault !== "unsealed")
    throw new Error(`round ${round}: ${JSON.stringify(status)}`);
  if (round > 1) {
    const inCluster = await kubectl("get", "configmap", `soak-${round - 1}`, "-o", "jsonpath={.data.round}");
    const inVault = await vault("kv", "get", "-field=round", "soak/rounds");
    if (Number(inCluster) !== round - 1 || Number(inVault) !== round - 1)
      throw new Error(`round ${round}: data of the round before is lost`);
    await kubectl("delete", "configmap", `soak-${round - 1}`);
  }
  await kubectl("create", "configmap", `soak-${round}`, `--from-literal=round=${round}`);
  await vault("kv", "put", "soak/rounds", `round=${round}`);
}
