import { podRule } from "../../model/rule.ts";
import { imageReference } from "./image-reference.ts";

export const imagesArePinned = podRule({
  name: "images-are-pinned",
  level: "mandatory",
  severity: "high",
  pci: ["6.3.2", "6.3.3"],
  cis: ["5.5.1"],
  description: "Every image must be named by a version or a digest, and never by the tag latest.",
  remediation: "Name the version that was tested, better with its digest.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      const at = view.at("image");
      const { tag, digest } = imageReference(at.text ?? "");
      if (digest === undefined && (tag === undefined || tag === "latest"))
        report(at, "must name a version or a digest");
    }
  },
});
