import { namespace } from "../support/deploy.ts";
import { eventually, kubectl } from "../support/lab.ts";
import { type Fault } from "./fault.ts";
import { podsOf, Stopped } from "./stopped.ts";

function stopping(what: Pick<Fault, "made" | "undone" | "alerts">, which: (stopped: Stopped) => Promise<void>): Fault {
  const stopped = new Stopped();
  return { ...what, make: () => which(stopped), undo: () => stopped.goOn() };
}

const scaled = (replicas: number): Promise<string> =>
  kubectl("scale", "deployment/tokenshield-tokenizer", "-n", namespace, `--replicas=${replicas}`);

/** Nobody is left to hand requests to. A program that only hangs wouldn't do: the kernel takes connections for it. */
export const tokenizersGone: Fault = {
  made: "the tokenizer is scaled to none",
  undone: "it is scaled to two",
  alerts: [
    {
      alert: "ProxyBackendDown",
      labels: { tenant: "acme", job: "inbound", proxy: "tokenizer" },
      fires: 150,
      ends: 120,
    },
    { alert: "SecretWatcherDown", labels: { tenant: "acme" }, fires: 180, ends: 120 },
  ],
  make: async () => {
    await scaled(0);
  },
  undo: async () => {
    await scaled(2);
    await kubectl("rollout", "status", "deployment/tokenshield-tokenizer", "-n", namespace, "--timeout=180s");
  },
};

/** One target that answers nobody. */
export const doorHangs: Fault = stopping(
  {
    made: "HAProxy hangs in one outbound pod (SIGSTOP)",
    undone: "it goes on (SIGCONT)",
    alerts: [{ alert: "TargetDown", labels: { job: "outbound", tenant: "acme" }, fires: 150, ends: 100 }],
  },
  async (stopped) => {
    await stopped.stop((await podsOf("outbound")).slice(0, 1), "haproxy");
  },
);

/** The pod whose certificate ends first. It is renewed at two thirds of its ten minutes, and two minutes are too few. */
export const agentHangs: Fault = (() => {
  const stopped = new Stopped();
  return {
    made: "the agent that renews a tokenizer's certificate hangs (SIGSTOP) until two minutes are left",
    undone: "it goes on (SIGCONT), and renews",
    alerts: [{ alert: "CertificateExpiring", labels: { tenant: "acme" }, fires: 600, ends: 150 }],
    make: async (client) => {
      const pods = await podsOf("tokenizer");
      // Prometheus remembers pods that have gone for some minutes, and learns of new ones at its next scrape.
      const there = await eventually(
        async () =>
          (await client.samples("tokenshield_certificate_expiry_timestamp_seconds > 0")).filter(({ labels }) =>
            pods.includes(labels["pod"] ?? ""),
          ),
        (left) => left.length === pods.length,
      );
      const [first] = [...there].sort((one, other) => one.value - other.value);
      await stopped.stop([first?.labels["pod"] ?? ""], "vault");
    },
    undo: () => stopped.goOn(),
  };
})();
