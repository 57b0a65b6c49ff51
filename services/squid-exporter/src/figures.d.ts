/** What Squid tells of itself on the pages `counters` and `info` of its cache manager. */
export interface Figures {
    /** Totals since its start, by Squid's own names: `client_http.requests`, `server.all.errors`, … */
    readonly counters: ReadonlyMap<string, number>;
    /** Files and connections that it holds open, and may hold. */
    readonly openFiles: number;
    readonly mostFiles: number;
}
/** The pages that are read, by the names that the cache manager gives them. */
export declare const pages: readonly ["counters", "info"];
/**
 * @param counters lines such as `client_http.requests = 42`
 * @param info lines such as `Number of file desc currently in use:   22`
 * @throws Error if a page is not what Squid 6 and 7 write
 */
export declare function figuresOf(counters: string, info: string): Figures;
