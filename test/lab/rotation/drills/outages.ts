import { setTimeout as sleep } from "node:timers/promises";
import type { Phase, RotationLedger } from "@tokenshield/rotation";
import { giveDriver, takeDriver } from "../../faults/watchers.ts";
import { wholeGroup } from "../../mysql/group.ts";
import { namespace } from "../../support/deploy.ts";
import { attemptLab, kubectl, lab, labStatus, vault } from "../../support/lab.ts";
import { processesOf } from "../../support/traces.ts";
import { Command, commandLine, signal, tail } from "./command.ts";
import { after, before, type Before, type Drill, update } from "./drill.ts";
import { type DrilledClass, ledgerNow, ledgerOf, untilOver, untilPhase } from "./ledger-watch.ts";
import { catchAt, lastWords } from "./runs.ts";
import { reportsOf, restarts, whoIsLate } from "./site.ts";
import { said } from "./streams.ts";

/** A fault in the middle of a rotation. */
interface Outage {
  readonly className: DrilledClass;
  /** From which phase on. */
  readonly phase: Phase;
  /** Makes it, while every run of the rotator is stopped. */
  readonly make: () => Promise<unknown>;
  /** What is looked at while it goes on, and the runs as well. */
  readonly meanwhile: (start: Before, ledger: RotationLedger) => Promise<unknown>;
  /** Takes it back; also where it couldn't be made. */
  readonly undo: () => Promise<unknown>;
}

/** Makes a fault in the middle of a rotation, takes it back, and sees that the rotation ends well by itself. */
async function outage(drill: Drill, { className, phase, make, meanwhile, undo }: Outage): Promise<void> {
  const start = await before(className);
  const command = Command.rotate(className, "--why", "a drill of an outage");
  try {
    const caught = await catchAt(className, start.generation + 1, phase, 900);
    try {
      try {
        await make();
      } finally {
        caught.goOn();
      }
      drill.say(`the fault is made at ${caught.ledger.phase}`);
      drill.seen(`fault at ${caught.ledger.phase}`);
      await meanwhile(start, caught.ledger);
    } finally {
      await undo();
    }
    const undone = performance.now();
    drill.say("the fault is taken back");
    const { status, printed } = await command.end(1_200);
    const { generation, phase: last } = await untilOver(className, 600);
    drill.seen(
      `update ended with status ${status}; generation ${generation} ${last} ${said((performance.now() - undone) / 1000)} after the repair, by itself`,
    );
    if (status !== 0) drill.say(tail(printed));
  } finally {
    await command.stop();
  }
  await update(drill);
  await after(drill, start);
}

/** Vault is sealed for a minute. */
export const sealed = (drill: Drill): Promise<void> =>
  outage(drill, {
    className: "database",
    phase: "retained",
    make: () => vault("operator", "seal"),
    meanwhile: async () => {
      await sleep(60_000);
      const { vault: state } = await labStatus();
      drill.seen(`after 60 s the lab's status says of Vault: ${state}`);
      if (state !== "sealed") drill.wrong("the status doesn't say that Vault is sealed");
      for (const line of await lastWords()) drill.say(`the rotator says: ${line.slice(0, 300)}`);
    },
    undo: async () => {
      if ((await labStatus()).vault !== "unsealed") await lab(["up"]);
    },
  });

/** The CSI driver is gone for two minutes, so that no pod's files are brought up to date. */
export const withoutDriver = (drill: Drill): Promise<void> =>
  outage(drill, {
    className: "database",
    phase: "retained",
    make: async () => {
      await takeDriver();
      const words = ["get", "daemonset", "secrets-store-csi-driver", "-n", "kube-system", "-o"];
      const end = Date.now() + 60_000;
      while ((await kubectl(...words, "jsonpath={.status.currentNumberScheduled}")) !== "0") {
        if (Date.now() > end) throw new Error("the CSI driver is there still after a minute");
        await sleep(500);
      }
    },
    meanwhile: async ({ generation }) => {
      await sleep(120_000);
      const { phase } = await ledgerOf("database");
      const late = await whoIsLate("database", generation + 1);
      drill.seen(`after 120 s without the driver it is ${phase}, and late are ${late.join(", ") || "none"}`);
      if (late.length > 0 && !["retained", "verified", "published"].includes(phase)) {
        drill.wrong(`it is ${phase}, though ${late.join(", ")} don't use the new value`);
      }
    },
    undo: giveDriver,
  });

/** One tokenizer hangs: it isn't passed over, and named. */
export async function stuck(drill: Drill): Promise<void> {
  const pod = [...(await reportsOf("jwt")).keys()].sort()[0] ?? "";
  const uid = await kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.metadata.uid}");
  const programs = processesOf(uid).filter((pid) => /^\S*node\b/.test(commandLine(pid)));
  if (programs.length === 0) throw new Error(`${pod} runs no tokenizer`);
  const started = await restarts();
  await outage(drill, {
    className: "jwt",
    phase: "staged",
    make: () => {
      for (const pid of programs) signal(pid, "SIGSTOP");
      return Promise.resolve();
    },
    meanwhile: async ({ generation }) => {
      // Its probe has the kubelet start it anew after half a minute: there is no more time than that.
      const status = Command.rotate("--status", "--json", "jwt");
      try {
        const { printed } = await status.end(120);
        const late = lateIn(printed);
        drill.seen(`${pod} hangs; rotate --status names without an answer: ${late.join(", ") || "nobody"}`);
        if (late.length === 0) drill.wrong("the status doesn't say who is late");
      } finally {
        await status.stop();
      }
      const { phase } = await ledgerOf("jwt");
      drill.seen(`meanwhile generation ${generation + 1} is ${phase}`);
      if (phase !== "staged" && phase !== "retained" && started === (await restarts())) {
        drill.wrong(`it is ${phase}, though ${pod} can't have read it`);
      }
    },
    undo: () => {
      for (const pid of programs) signal(pid, "SIGCONT");
      return Promise.resolve();
    },
  });
  drill.seen(`the kubelet started ${(await restarts()) - started} containers anew`);
}

/** Processes without a generation in what `--status --json` printed, among lines of the lab's own. */
function lateIn(printed: string): readonly string[] {
  const text = /^\[\n[\s\S]*?^\]$/m.exec(printed)?.[0];
  if (text === undefined) throw new Error(`rotate --status printed no status:\n${tail(printed)}`);
  const told = JSON.parse(text) as readonly {
    readonly uses: readonly { readonly process: string; readonly generation: number | null }[];
  }[];
  return told.flatMap(({ uses }) => uses.filter(({ generation }) => generation === null).map(({ process }) => process));
}

/** The whole lab is taken down and brought up again. */
export async function restarted(drill: Drill): Promise<void> {
  const start = await before("database");
  const next = start.generation + 1;
  const command = Command.rotate("database", "--why", "a drill of a machine that is started anew");
  try {
    const { phase } = await untilPhase("database", next, "retained", 900);
    drill.seen(`the lab goes down at ${phase}`);
    try {
      await lab(["down"]);
    } finally {
      await lab(["up"], undefined, "show");
    }
    const back = performance.now();
    drill.say("the lab is up again");
    const found = await ledgerNow("database");
    drill.seen(`the ledger after it: generation ${found?.generation ?? "?"}, ${found?.phase ?? "not readable yet"}`);
    await wholeGroup();
    drill.say(`the group is whole ${said((performance.now() - back) / 1000)} after that`);
    const { status } = await command.end(900);
    const { phase: last } = await untilOver("database", 900);
    drill.seen(
      `the update that was cut ended with status ${status}; ${last} ${said((performance.now() - back) / 1000)} after the start`,
    );
  } finally {
    await command.stop();
    // An end of the drill half-way leaves a lab that is up.
    await attemptLab(["up"]);
  }
  await update(drill);
  await after(drill, start);
}
