import type { types } from "@pulumi/kubernetes";

/** Where one chart comes from, as `helm.v4.Chart` takes it. */
export interface ChartSource {
  readonly chart: string;
  readonly version?: string;
  readonly repositoryOpts?: types.input.helm.v4.RepositoryOpts;
}

/**
 * Where a chart of a mirror is.
 * @param mirror `oci://…`, `https://…`, or a folder with packaged charts (`<name>-<version>.tgz`)
 * @param chart name of the chart
 * @param version its full version
 */
export function chartSource(mirror: string, chart: string, version: string): ChartSource {
  const base = mirror.replace(/\/+$/, "");
  if (base.startsWith("oci://")) return { chart: `${base}/${chart}`, version };
  if (base.startsWith("https://")) return { chart, version, repositoryOpts: { repo: base } };
  return { chart: `${base}/${chart}-${version}.tgz` };
}
