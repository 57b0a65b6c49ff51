import type { Settings } from "../../settings/index.ts";
import { type Answer, ok, open, type Operation } from "../operation.ts";
import type { Readiness } from "../readiness.ts";

/** Health, version and metrics. */
export function systemOperations(parts: {
  readonly settings: Settings;
  readonly readiness: Readiness;
  readonly metrics: () => Promise<string>;
}): readonly Operation[] {
  const { settings, readiness } = parts;
  const health = async (): Promise<Answer> => {
    const { status } = await readiness.check();
    return status === "ready" ? ok({ status: "healthy" }) : ok({ status: "unhealthy" }, 503);
  };
  return [
    { id: "getHealth", method: "GET", path: "/health", guard: open, handle: health },
    { id: "getHealthAlias", method: "GET", path: "/api/v1/health", guard: open, handle: health },
    {
      id: "getLiveness",
      method: "GET",
      path: "/health/live",
      guard: open,
      handle: () => {
        const uptime = { uptime_seconds: Math.round(process.uptime()) };
        return Promise.resolve(
          readiness.stopping ? ok({ status: "stopping", ...uptime }, 503) : ok({ status: "alive", ...uptime }),
        );
      },
    },
    {
      id: "getReadiness",
      method: "GET",
      path: "/health/ready",
      guard: open,
      handle: async () => {
        const state = await readiness.check();
        return ok(state, state.status === "ready" ? 200 : 503);
      },
    },
    {
      id: "getMetrics",
      method: "GET",
      path: "/metrics",
      guard: open,
      handle: async () => ({
        status: 200,
        body: await parts.metrics(),
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      }),
    },
    {
      id: "getVersion",
      method: "GET",
      path: "/api/v1/version",
      guard: open,
      handle: () =>
        Promise.resolve(
          ok({
            version: settings.BUILD_VERSION,
            build_time: settings.BUILD_TIME,
            token_format: settings.TOKEN_FORMAT,
            kek_dek_enabled: settings.USE_KEK_DEK,
            features: ["tokenization", "detokenization", "api", "icap"],
            status: "active",
          }),
        ),
    },
  ];
}
