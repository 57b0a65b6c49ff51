/** What Squid tells of itself on the pages `counters` and `info` of its cache manager. */
export interface Figures {
  /** Totals since its start, by Squid's own names: `client_http.requests`, `server.all.errors`, … */
  readonly counters: ReadonlyMap<string, number>;
  /** Files and connections that it holds open, and may hold. */
  readonly openFiles: number;
  readonly mostFiles: number;
}

/** The pages that are read, by the names that the cache manager gives them. */
export const pages = ["counters", "info"] as const;

/**
 * @param counters lines such as `client_http.requests = 42`
 * @param info lines such as `Number of file desc currently in use:   22`
 * @throws Error if a page is not what Squid 6 and 7 write
 */
export function figuresOf(counters: string, info: string): Figures {
  const totals = [...counters.matchAll(/^([a-z_]+(?:\.[a-z_]+)*) = (\d+(?:\.\d+)?)\s*$/gm)];
  if (totals.length === 0) throw new Error("Squid's page of counters has none");
  const number = (label: string): number => {
    const found = new RegExp(`^\\s*${label}:\\s+(\\d+)`, "m").exec(info)?.[1];
    if (found === undefined) throw new Error(`Squid's page of information has no line "${label}"`);
    return Number(found);
  };
  return {
    counters: new Map(totals.map(([, name = "", value]) => [name, Number(value)])),
    openFiles: number("Number of file desc currently in use"),
    mostFiles: number("Maximum number of file descriptors"),
  };
}
