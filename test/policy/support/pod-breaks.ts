import { type Break, nothing, set } from "./break.ts";
import { podKinds } from "./extras.ts";

type Key = string | number;

/** A break of a pod's spec, for every kind that holds one. */
export interface PodBreak {
  readonly rule: string;
  readonly path: readonly Key[];
  readonly to: unknown;
  readonly says: RegExp;
  /** Where the finding is, if not at the path that is set. */
  readonly at?: readonly Key[];
  readonly conceal?: readonly Key[] | "never";
  /** The kinds that it holds for; all of them by default. */
  readonly kinds?: RegExp;
}

/** The lists of a pod's containers. */
export const lists = ["initContainers", "containers", "ephemeralContainers"] as const;

/** The same break in a container of each list. */
function inEach(
  rule: string,
  path: readonly Key[],
  to: unknown,
  says: RegExp,
  further: Partial<PodBreak> = {},
): PodBreak[] {
  return lists.map((list) => {
    const { at, conceal } = further;
    const own = {
      ...(at === undefined ? {} : { at: [list, 0, ...at] }),
      ...(conceal === undefined ? {} : { conceal: conceal === "never" ? conceal : [list, 0, ...conceal] }),
    };
    return { rule, path: [list, 0, ...path], to, says, ...own };
  });
}

/** The place of an environment variable of `container()` in `extras.ts`. */
export const variables = [
  ...["LOG_LEVEL", "SESSION_IDLE_TIMEOUT", "LOCKOUT_ATTEMPTS", "LOCKOUT_DURATION", "TLS_MODE", "VAULT_ADDR"],
  ...["USE_KEK_DEK", "CVV_FIELDS", "EGRESS_DESTINATIONS", "CORS_ALLOWED_ORIGINS", "REVEAL_ROUTES", "DB_PASSWORD"],
  ...["POD_NAME", "DEBUG", "NODE_OPTIONS", "NODE_TLS_REJECT_UNAUTHORIZED", "VAULT_SKIP_VERIFY"],
];

function variable(rule: string, name: string, to: string, says: RegExp): PodBreak[] {
  return inEach(rule, ["env", variables.indexOf(name), "value"], to, says);
}

const security = (key: string): readonly Key[] => ["securityContext", key];
const hostName = /must come from the mirror/;

/** The breaks of a pod like those of `extras.ts`. */
export const everyPod: readonly PodBreak[] = [
  ...inEach("pods-run-as-non-root", security("runAsNonRoot"), false, /must be true/),
  ...inEach("pods-run-as-non-root", security("runAsUser"), 0, /must not be 0/),
  { rule: "pods-run-as-non-root", path: ["securityContext", "runAsUser"], to: 0, says: /must not be 0/ },
  ...inEach("containers-cannot-escalate", security("allowPrivilegeEscalation"), true, /must be false/),
  ...inEach("containers-cannot-escalate", security("allowPrivilegeEscalation"), nothing, /must be false/),
  ...inEach("containers-are-unprivileged", security("privileged"), true, /must not be true/),
  ...inEach("containers-are-unprivileged", security("procMount"), "Unmasked", /must be Default/),
  ...inEach(
    "containers-drop-capabilities",
    ["securityContext", "capabilities", "drop"],
    ["NET_RAW"],
    /must contain ALL/,
  ),
  ...inEach("containers-drop-capabilities", ["securityContext", "capabilities", "add"], ["SYS_ADMIN"], /SYS_ADMIN/, {
    at: ["securityContext", "capabilities", "add", 0],
  }),
  ...["hostNetwork", "hostPID", "hostIPC"].map((key) => ({
    rule: "pods-use-no-host-namespaces",
    path: [key],
    to: true,
    says: /must not be true/,
  })),
  ...inEach("pods-use-no-host-namespaces", ["ports", 0, "hostPort"], 8443, /must not be there/),
  {
    rule: "pods-mount-no-host-paths",
    path: ["volumes", 2],
    to: { name: "host", hostPath: { path: "/" } },
    at: ["volumes", 2, "hostPath"],
    conceal: ["volumes"],
    says: /must not be there/,
  },
  ...inEach("pods-use-seccomp", ["securityContext", "seccompProfile", "type"], "Unconfined", /must be one of/),
  ...inEach("root-filesystems-are-read-only", security("readOnlyRootFilesystem"), false, /must be true/),
  ...inEach("root-filesystems-are-read-only", security("readOnlyRootFilesystem"), nothing, /must be true/),
  ...["requests", "limits"].flatMap((bound) =>
    lists.slice(0, 2).map((list) => ({
      rule: "containers-have-limits",
      path: [list, 0, "resources", bound, "memory"],
      to: nothing,
      says: /must be set/,
    })),
  ),
  {
    rule: "pods-have-a-readiness-probe",
    path: ["containers", 0, "readinessProbe"],
    to: nothing,
    says: /must be set/,
    kinds: /:(Deployment|StatefulSet|DaemonSet|ReplicaSet|ReplicationController)/,
  },
  { rule: "pods-use-an-account-of-their-own", path: ["serviceAccountName"], to: "default", says: /other than default/ },
  { rule: "pods-use-an-account-of-their-own", path: ["serviceAccountName"], to: nothing, says: /other than default/ },
  { rule: "pods-mount-no-token", path: ["automountServiceAccountToken"], to: true, says: /must not be true/ },
  {
    rule: "pods-mount-no-token",
    path: ["volumes", 1, "projected", "sources", 0, "serviceAccountToken", "expirationSeconds"],
    to: 604_800,
    says: /at most 86400/,
  },
  ...inEach("images-are-pinned", ["image"], "registry.example.com/part:latest", /version or a digest/),
  ...inEach("images-are-pinned", ["image"], "registry.example.com/part", /version or a digest/),
  ...inEach("images-are-named-by-digest", ["image"], "registry.example.com/part:1.2.3", /@sha256/),
  ...inEach("images-come-from-the-mirror", ["image"], "nginx:1.27.0", hostName),
  ...inEach("images-come-from-the-mirror", ["image"], "ghcr.io/somebody/part:1.2.3", hostName),
  ...inEach(
    "secrets-are-not-in-the-environment",
    ["env", 0],
    { name: "DB_PASSWORD", valueFrom: { secretKeyRef: { name: "db", key: "password" } } },
    /must not be there/,
    { at: ["env", 0, "valueFrom", "secretKeyRef"] },
  ),
  ...inEach("secrets-are-not-in-the-environment", ["envFrom", 0], { secretRef: { name: "db" } }, /must not be there/, {
    at: ["envFrom", 0, "secretRef"],
  }),
  {
    rule: "secrets-come-from-the-store",
    path: ["volumes", 0],
    to: { name: "secrets", secret: { secretName: "db" } },
    at: ["volumes", 0, "secret"],
    says: /CSI volume/,
  },
  {
    rule: "secrets-come-from-the-store",
    path: ["volumes", 1, "projected", "sources", 0],
    to: { secret: { name: "db" } },
    at: ["volumes", 1, "projected", "sources", 0, "secret"],
    says: /CSI volume/,
  },
  ...variable("commands-hold-no-secrets", "DB_PASSWORD", "hunter2-hunter2", /a secret by its name/),
  ...variable("commands-hold-no-secrets", "POD_NAME", "hvs.CAESIJ0abcdefghijklmnopqrstu", /a Vault token/),
  ...inEach("commands-hold-no-secrets", ["args", 0], "--api-key=abcdef0123456789", /a secret by its flag/),
  ...inEach(
    "commands-hold-no-secrets",
    ["command", 0],
    "mysql://root:hunter2@mysql/cards",
    /an address with a password/,
  ),
  ...variable("sessions-time-out", "SESSION_IDLE_TIMEOUT", "4h", /at most 15m/),
  ...variable("logins-are-locked", "LOCKOUT_ATTEMPTS", "100", /at most 10/),
  ...variable("logins-are-locked", "LOCKOUT_DURATION", "15m", /at least 30m/),
  ...variable("debugging-is-off", "LOG_LEVEL", "debug", /info or above/),
  ...variable("debugging-is-off", "DEBUG", "*", /must not be set/),
  ...variable("debugging-is-off", "NODE_OPTIONS", "--inspect=0.0.0.0:9229", /must not switch debugging on/),
  ...inEach("debugging-is-off", ["args", 0], "--debug", /must not switch debugging on/),
  ...variable("services-speak-tls", "TLS_MODE", "off", /must be mutual/),
  ...variable("services-speak-tls", "VAULT_ADDR", "http://vault:8200", /must be an https address/),
  ...variable("services-speak-tls", "NODE_TLS_REJECT_UNAUTHORIZED", "0", /unverified/),
  ...variable("services-speak-tls", "VAULT_SKIP_VERIFY", "true", /unverified/),
  ...variable("cards-are-encrypted", "USE_KEK_DEK", "false", /must be true/),
  ...variable("cards-are-encrypted", "CVV_FIELDS", "pass", /refuse or slot/),
  ...variable("card-numbers-leave-to-named-gateways", "EGRESS_DESTINATIONS", "https://*", /https origins/),
  ...variable("card-numbers-leave-to-named-gateways", "EGRESS_DESTINATIONS", "http://pay.example.com", /https origins/),
  ...variable("card-numbers-leave-to-named-gateways", "CORS_ALLOWED_ORIGINS", "*", /every origin/),
  ...variable("card-numbers-leave-to-named-gateways", "REVEAL_ROUTES", "GET /*", /must name routes/),
  {
    rule: "production-runs-no-tests",
    path: ["containers", 0, "env", 8, "value"],
    to: "https://sandbox.gateway.example.com",
    says: /must not name a sandbox/,
  },
];

/** A break of the pod's spec that lies at a path of a resource. */
export function podBreak(on: string, spec: readonly Key[], one: PodBreak): Break {
  const { rule, path, to, says, at, conceal } = one;
  return set(rule, on, [...spec, ...path], to, says, {
    ...(at === undefined ? {} : { at: [...spec, ...at] }),
    ...(conceal === undefined ? {} : { conceal: conceal === "never" ? conceal : [...spec, ...conceal] }),
  });
}

/** Every break of a pod's spec in every kind. */
export const podBreaks: readonly Break[] = podKinds.flatMap(({ type, path }) => {
  const on = `${type}::ref-${(type.split(":").at(-1) ?? "").toLowerCase()}`;
  return everyPod.filter(({ kinds }) => kinds === undefined || kinds.test(type)).map((one) => podBreak(on, path, one));
});
