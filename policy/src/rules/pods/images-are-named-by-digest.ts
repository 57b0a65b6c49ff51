import { podRule } from "../../model/rule.ts";
import { imageReference } from "./image-reference.ts";

export const imagesAreNamedByDigest = podRule({
  name: "images-are-named-by-digest",
  level: "advisory",
  severity: "high",
  pci: ["6.3.2", "6.3.3", "11.5.2"],
  description: "Every image must be named by its digest, so that what runs is what was scanned.",
  remediation: "Set safety.imagesByDigest and give registry.references with @sha256 digests.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      const at = view.at("image");
      if (!/^sha256:[0-9a-f]{64}$/.test(imageReference(at.text ?? "").digest ?? ""))
        report(at, "must end in @sha256:…");
    }
  },
});
