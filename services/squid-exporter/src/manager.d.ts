import { type Figures } from "./figures.ts";
/**
 * Reads Squid's figures from its cache manager.
 * @param port port of this machine's loopback on which Squid offers them
 */
export declare function readFigures(port: number): Promise<Figures>;
