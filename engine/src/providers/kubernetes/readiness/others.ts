import { sameValue, fromJson } from "../../protocol/value.ts";
import { conditionOf, mapAt, textAt } from "../api/object.ts";
import { failed, ready, waiting } from "./rule.ts";
import type { Progress, ReadinessRule } from "./rule.ts";

/**
 * A claim is ready when it is bound.
 * @param bindingMode the storage class's; with `WaitForFirstConsumer` a new claim that is pending is ready too, since
 *   only a Pod that mounts it gets it bound
 */
export function persistentVolumeClaimRule(bindingMode: string): ReadinessRule {
  return {
    assess({ object }): Progress {
      const phase = textAt(object, "status", "phase");
      if (phase === "Bound" || (phase === "Pending" && bindingMode === "WaitForFirstConsumer")) {
        return ready(`PersistentVolumeClaim is ${phase}`);
      }
      return phase === "Lost"
        ? failed("PersistentVolumeClaim has lost its volume", ["phase Lost"])
        : waiting("Waiting for the PersistentVolumeClaim to be bound", [`phase ${phase === "" ? "unknown" : phase}`]);
    },
  };
}

/** A volume is ready when it is available or bound. */
export const persistentVolumeRule: ReadinessRule = {
  limit: 300,
  assess({ object }): Progress {
    const phase = textAt(object, "status", "phase");
    return phase === "Available" || phase === "Bound"
      ? ready(`PersistentVolume is ${phase}`)
      : waiting("Waiting for the PersistentVolume", [`phase ${phase === "" ? "unknown" : phase}`]);
  },
};

/** A ResourceQuota is ready when its status shows its limits. */
export const resourceQuotaRule: ReadinessRule = {
  limit: 60,
  assess({ object }): Progress {
    const [wanted, seen] = [mapAt(object, "spec", "hard"), mapAt(object, "status", "hard")];
    return sameValue(fromJson(wanted), fromJson(seen))
      ? ready("ResourceQuota is in force")
      : waiting("Waiting for the ResourceQuota to be in force", ["status.hard differs from spec.hard"]);
  },
};

/** A service account's token is ready when the controller has written it; other Secrets are ready at once. */
export const secretRule: ReadinessRule = {
  limit: 30,
  assess({ object }): Progress {
    const isToken = textAt(object, "type") === "kubernetes.io/service-account-token";
    return isToken && Object.keys(mapAt(object, "data")).length === 0
      ? waiting("Waiting for the token", ["no data yet"])
      : ready("Secret is there");
  },
};

/** A CRD is ready when its names are accepted and the server serves it; refused names will not become accepted. */
export const customResourceDefinitionRule: ReadinessRule = {
  limit: 60,
  assess({ object }): Progress {
    const names = conditionOf(object, "NamesAccepted");
    if (textAt(names, "status") === "False") {
      return failed("the names of the CustomResourceDefinition are taken", [textAt(names, "message")]);
    }
    const established = conditionOf(object, "Established");
    return textAt(established, "status") === "True"
      ? ready("CustomResourceDefinition is established")
      : waiting("Waiting for the CustomResourceDefinition to be established", [textAt(established, "message")]);
  },
};
