/** Where a proxy finds its settings. */
export const settingsPath = "/settings";

/** Time that a stop waits for running requests, in seconds; the pod's grace is longer. */
export const stopSeconds = 25;

/** Largest body, in bytes: the tokenizer's own limit. */
export const maxBodyBytes = 10_485_760;
