/** What the image builder reads out of a Dockerfile, so that one file serves docker and the lab alike. */
export interface Recipe {
  /** Debian suite of the base, from `ARG BASE=debian:<suite>-slim`; absent where the image starts from scratch. */
  readonly suite: string | undefined;
  /** Programs taken from the build context `programs` (`COPY --from=programs NAME …`). */
  readonly programs: readonly string[];
  /**
   * Folders of the workspaces whose `dist` is taken from the build contexts `services` and `lab`
   * (`COPY --from=services NAME/dist …`, `COPY --from=lab NAME/dist …`), such as `services/tokenizer`.
   */
  readonly workspaces: readonly string[];
}

const instruction = /^\s*COPY\s+(?:--\S+\s+)*--from=(programs|services|lab)\s+(?:--\S+\s+)*(.+)$/gm;

/** @throws Error if the base is an image that the lab can't make (anything but `debian:<suite>-slim`) */
export function readRecipe(dockerfile: string): Recipe {
  const base = /^\s*ARG\s+BASE=(\S+)\s*$/m.exec(dockerfile)?.[1];
  const suite = base === undefined ? undefined : /^debian:([a-z]+)-slim$/.exec(base)?.[1];
  if (base !== undefined && suite === undefined) {
    throw new Error(`ARG BASE=${base}: expected debian:<suite>-slim, which is the base that the lab can make`);
  }
  const programs = new Set<string>();
  const workspaces = new Set<string>();
  for (const [, from = "", words = ""] of dockerfile.matchAll(instruction)) {
    for (const source of words.trim().split(/\s+/).slice(0, -1)) {
      const name = source.replace(/^\//, "").split("/")[0] ?? "";
      if (from === "programs") programs.add(name);
      else workspaces.add(`${from}/${name}`);
    }
  }
  return { suite, programs: [...programs].sort(), workspaces: [...workspaces].sort() };
}
