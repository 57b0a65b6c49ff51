import { z } from "zod";
import { cronText, dnsLabel, dnsName, quantity, quantityText } from "./formats";

/**
 * The spec of a TokenShield resource (`tokenization.io/v1alpha1`), narrowed to what this platform upholds: what would
 * weaken protection, or isn't built, is refused by its path. Defaults are those of the resource, but `kekDek` is true.
 */

/** A switch that protects: it can be named, but not turned off. */
const always = (why: string, about: string): z.ZodDefault<z.ZodLiteral<true>> =>
  z
    .literal(true, { error: `true (${why})` })
    .default(true)
    .describe(`${about} Can't be turned off: ${why}.`);

/** A choice of which one is built. `later` are the choices that the resource names and this platform refuses. */
function only<T extends string>(built: T, later: readonly string[], about: string): z.ZodDefault<z.ZodLiteral<T>> {
  return z
    .literal(built, { error: `"${built}" (${later.join(" and ")} ${later.length === 1 ? "is" : "are"} not built)` })
    .default(built as z.util.NoUndefined<T>)
    .describe(about);
}

const flag = (fallback: boolean, about: string): z.ZodDefault<z.ZodBoolean> =>
  z.boolean().default(fallback).describe(about);

const keyRotation = z.strictObject({
  enabled: flag(false, "Rotates the tenant's key-encryption key on a schedule."),
  schedule: cronText().default("0 0 * * 0").describe("When to rotate; five fields, UTC."),
});

const tokenization = z.strictObject({
  format: z
    .enum(["prefix", "luhn"])
    .default("prefix")
    .describe("Token format of new tokens: `tok_…`, or 16 digits that begin with 9999 and pass the Luhn check."),
  encryption: z
    .strictObject({
      enabled: always("card numbers are stored encrypted", "Encrypts stored card numbers."),
      kekDek: always("data keys are wrapped by a key outside the card database", "Two levels of keys."),
      keyRotation: keyRotation.prefault({}),
    })
    .prefault({}),
});

const database = z.strictObject({
  type: only("mysql", ["postgresql"], "Database engine. Can't change once the tenant holds cards."),
  connectionSecret: z
    .undefined({ error: "no such setting here (credentials come from Vault; for a server of your own see `database`)" })
    .optional()
    .describe("Refused: credentials come from Vault, not from a Kubernetes Secret."),
  size: quantityText().default("10Gi").describe("Volume of one database member. May only grow."),
});

/** Bounds of the pods of a part. */
const autoscaling = (
  what: string,
): z.ZodObject<
  {
    enabled: z.ZodDefault<z.ZodBoolean>;
    minReplicas: z.ZodDefault<z.ZodInt>;
    maxReplicas: z.ZodDefault<z.ZodInt>;
    targetCPUUtilizationPercentage: z.ZodDefault<z.ZodInt>;
  },
  z.core.$strict
> =>
  z
    .strictObject({
      enabled: flag(false, `Lets a HorizontalPodAutoscaler set the number of ${what} pods.`),
      minReplicas: z.int().min(1).default(2).describe(`Fewest ${what} pods.`),
      maxReplicas: z.int().min(1).default(10).describe(`Most ${what} pods.`),
      targetCPUUtilizationPercentage: z
        .int()
        .min(10)
        .max(95)
        .default(70)
        .describe("Average CPU use to aim at, percent."),
    })
    .superRefine(({ minReplicas, maxReplicas }, context) => {
      if (minReplicas > maxReplicas) {
        context.addIssue({ code: "custom", path: ["minReplicas"], message: `at most maxReplicas, ${maxReplicas}` });
      }
    });

/** Bounds of the pods of a part, with all defaults filled in. */
export type Autoscaling = z.output<ReturnType<typeof autoscaling>>;

/** Refuses more pods than an autoscaler may make. */
function replicasBelowBound(
  { replicas, autoscaling: { enabled, maxReplicas } }: { readonly replicas: number; readonly autoscaling: Autoscaling },
  context: z.RefinementCtx,
): void {
  if (enabled && replicas > maxReplicas) {
    const message = `at most autoscaling.maxReplicas, ${maxReplicas}`;
    context.addIssue({ code: "custom", path: ["replicas"], message });
  }
}

const inbound = z
  .strictObject({
    enabled: flag(true, "Runs the inbound proxy."),
    type: only("haproxy", ["envoy", "nginx"], "Engine of the inbound proxy."),
    replicas: z.int().min(1).default(2).describe("Pods of the inbound proxy; the lower bound while autoscaling is on."),
    autoscaling: autoscaling("inbound proxy").prefault({}),
  })
  .superRefine(replicasBelowBound);

const outbound = z
  .strictObject({
    enabled: flag(true, "Runs the egress proxy."),
    type: only("squid", ["envoy"], "Engine of the egress proxy."),
    replicas: z.int().min(1).default(2).describe("Pods of the egress proxy; the lower bound while autoscaling is on."),
    autoscaling: autoscaling("egress proxy").prefault({}),
  })
  .superRefine(replicasBelowBound);

const amounts = (
  cpu: string,
  memory: string,
): z.ZodObject<{ cpu: z.ZodDefault<z.ZodString>; memory: z.ZodDefault<z.ZodString> }, z.core.$strict> =>
  z.strictObject({
    cpu: quantityText().default(cpu).describe("CPU of one tokenizer pod."),
    memory: quantityText().default(memory).describe("Memory of one tokenizer pod."),
  });

const resources = z
  .strictObject({
    requests: amounts("100m", "256Mi").prefault({}),
    limits: amounts("1000m", "1Gi").prefault({}),
  })
  .superRefine(({ requests, limits }, context) => {
    for (const name of ["cpu", "memory"] as const) {
      if ((quantity(requests[name]) ?? 0) > (quantity(limits[name]) ?? 0)) {
        context.addIssue({ code: "custom", path: ["requests", name], message: `at most the limit, ${limits[name]}` });
      }
    }
  });

const tokenizer = z
  .strictObject({
    replicas: z.int().min(1).default(3).describe("Tokenizer pods; the lower bound while autoscaling is on."),
    resources: resources.prefault({}),
    autoscaling: autoscaling("tokenizer").prefault({}),
  })
  .superRefine(replicasBelowBound);

const ingress = z
  .strictObject({
    enabled: flag(false, "Publishes the dashboard by an Ingress."),
    className: z.string().min(1).default("nginx").describe("Ingress class."),
    host: dnsName().optional().describe("Host name; needed where the ingress is on."),
    tls: z
      .strictObject({
        enabled: flag(false, "TLS at the ingress; needed where the ingress is on."),
        secretName: dnsName().optional().describe("Secret with the certificate; needed where the ingress is on."),
      })
      .prefault({}),
  })
  .superRefine(({ enabled, host, tls }, context) => {
    if (!enabled) return;
    if (host === undefined) {
      context.addIssue({ code: "custom", path: ["host"], message: "a DNS name, as the ingress is on" });
    }
    if (!tls.enabled) {
      const message = "true, as the ingress is on (the dashboard is never served without TLS)";
      context.addIssue({ code: "custom", path: ["tls", "enabled"], message });
    }
  });

const dashboard = z.strictObject({
  enabled: flag(true, "Runs the dashboard."),
  ingress: ingress.prefault({}),
});

const monitoring = z
  .strictObject({
    prometheus: z
      .strictObject({
        enabled: flag(false, "Exposes and collects metrics."),
        serviceMonitor: flag(false, "Lets the Prometheus operator discover them; needs prometheus.enabled."),
      })
      .prefault({}),
    grafana: z
      .strictObject({
        enabled: flag(false, "Binds to Grafana."),
        dashboards: flag(false, "Ships dashboards as ConfigMaps; needs grafana.enabled."),
      })
      .prefault({}),
  })
  .superRefine(({ prometheus, grafana }, context) => {
    if (prometheus.serviceMonitor && !prometheus.enabled) {
      const message = "false, or prometheus.enabled true";
      context.addIssue({ code: "custom", path: ["prometheus", "serviceMonitor"], message });
    }
    if (grafana.dashboards && !grafana.enabled) {
      context.addIssue({ code: "custom", path: ["grafana", "dashboards"], message: "false, or grafana.enabled true" });
    }
  });

const highAvailability = z.strictObject({
  enabled: flag(false, "High availability: spread over nodes, disruption budgets, a replicated database."),
  database: z
    .strictObject({
      replication: flag(true, "Replicates the database (3 members) where high availability is on."),
      backups: z
        .strictObject({
          enabled: flag(true, "Takes backups on a schedule, with or without high availability."),
          schedule: cronText().default("0 2 * * *").describe("When; five fields, UTC."),
          retention: z.int().min(1).default(7).describe("How long backups are kept, in days."),
        })
        .prefault({}),
    })
    .prefault({}),
});

const security = z.strictObject({
  networkPolicies: always("every flow is named in the flows table", "Default deny both ways, and one policy a part."),
  podSecurityPolicies: always("pods run restricted", "The restricted Pod Security Standard."),
  rbac: always("each part has an account of its own", "One least-privilege account a part."),
  tls: z
    .strictObject({
      internal: always("every hop is TLS", "Mutual TLS between the parts."),
      certManager: flag(
        false,
        "Certificates from the cluster's cert-manager instead of Vault's PKI: from the issuer that `certificates` names.",
      ),
    })
    .prefault({}),
});

/** The spec of one TokenShield: every field has a default, so `{}` is a whole document. */
export const tokenShieldSpec = z
  .strictObject({
    tokenization: tokenization.prefault({}),
    database: database.prefault({}),
    proxies: z.strictObject({ inbound: inbound.prefault({}), outbound: outbound.prefault({}) }).prefault({}),
    tokenizer: tokenizer.prefault({}),
    dashboard: dashboard.prefault({}),
    monitoring: monitoring.prefault({}),
    highAvailability: highAvailability.prefault({}),
    security: security.prefault({}),
  })
  .superRefine((spec, context) => {
    for (const [path, message] of crossRules(spec)) context.addIssue({ code: "custom", path, message });
  });

/** The rules that span parts of the spec: path and what is expected there. */
function* crossRules(spec: {
  readonly proxies: { readonly inbound: ProxySpec; readonly outbound: ProxySpec };
  readonly tokenizer: { readonly replicas: number };
  readonly dashboard: { readonly ingress: z.output<typeof ingress> };
  readonly highAvailability: { readonly enabled: boolean };
}): Generator<[(string | number)[], string]> {
  const parts = [
    { path: ["proxies", "inbound", "replicas"], ...spec.proxies.inbound },
    { path: ["proxies", "outbound", "replicas"], ...spec.proxies.outbound },
    { path: ["tokenizer", "replicas"], enabled: true, replicas: spec.tokenizer.replicas },
  ];
  if (spec.highAvailability.enabled) {
    for (const { path, enabled, replicas } of parts) {
      if (enabled && replicas < 2) yield [path, "at least 2, as highAvailability.enabled is true"];
    }
  }
  const { enabled, tls } = spec.dashboard.ingress;
  if (enabled && tls.enabled && tls.secretName === undefined) {
    yield [["dashboard", "ingress", "tls", "secretName"], "the name of a Secret, as the ingress is on"];
  }
}

interface ProxySpec {
  readonly enabled: boolean;
  readonly replicas: number;
}

/** The spec of one TokenShield, with all defaults filled in. */
export type TokenShieldSpec = z.output<typeof tokenShieldSpec>;

/** A name that objects of a tenant begin with. */
export const tenantName = (): z.ZodString => dnsLabel(30);
