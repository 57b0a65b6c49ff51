import { enableCompileCache } from "node:module";
import { join } from "node:path";

/**
 * Where Node.js keeps compiled code between runs: beside the packages it was compiled from, so that whoever may write
 * there could have changed these as well.
 */
const folder = join(import.meta.dirname, "../../../node_modules/.cache/node");

/** Coverage is less exact for code that comes out of a cache. */
const isMeasured = (environment: NodeJS.ProcessEnv): boolean => environment["NODE_V8_COVERAGE"] !== undefined;

/**
 * Keeps this process's modules compiled for the next run; what is imported before is not kept. A folder that can't be
 * written costs nothing but the time, and NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE keep their meaning.
 */
export function keepCompiled(): void {
  if (!isMeasured(process.env)) enableCompileCache(folder);
}

/** The variables by which a program or a policy pack of this environment does the same. */
export function compileCacheVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return isMeasured(environment) ? {} : { NODE_COMPILE_CACHE: environment["NODE_COMPILE_CACHE"] ?? folder };
}
