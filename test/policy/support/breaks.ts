import type { Break } from "./break.ts";
import { cloudSecretBreaks } from "./cloud-secret-breaks.ts";
import { clusterBreaks } from "./cluster-breaks.ts";
import { goldenBreaks } from "./golden-breaks.ts";
import { podBreaks } from "./pod-breaks.ts";
import { storeBreaks } from "./store-breaks.ts";

/** Every break that is tried. */
export const breaks: readonly Break[] = [
  ...podBreaks,
  ...goldenBreaks,
  ...clusterBreaks,
  ...storeBreaks,
  ...cloudSecretBreaks,
];

/** The breaks of a rule. */
export function breaksOf(rule: string): readonly Break[] {
  return breaks.filter((one) => one.rule === rule);
}
