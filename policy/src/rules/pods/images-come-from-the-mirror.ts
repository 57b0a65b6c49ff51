import { podRule, textsOf } from "../../model/rule.ts";
import { imageReference } from "./image-reference.ts";

export const imagesComeFromTheMirror = podRule({
  name: "images-come-from-the-mirror",
  level: "mandatory",
  severity: "high",
  pci: ["6.3.2", "12.8.1"],
  cis: ["5.5.1"],
  description: "Every image must come from a registry that the company answers for, named in the reference.",
  remediation: "Copy the image into the mirror and name it there; the setting registries lists those that are allowed.",
  settings: {
    registries: {
      type: "array",
      items: { type: "string" },
      description: "Hosts of allowed registries; empty: every one but the public ones.",
      default: [],
    },
  },
  check: ({ containers }, report, config) => {
    const allowed = textsOf(config, "registries");
    for (const { view } of containers) {
      const at = view.at("image");
      const registry = imageReference(at.text ?? "").registry ?? "docker.io";
      const fine = allowed.length > 0 ? allowed.includes(registry) : !publicRegistries.includes(registry);
      if (!fine) report(at, `must come from the mirror, and comes from ${registry}`);
    }
  },
});

const publicRegistries: readonly string[] = [
  "docker.io",
  "index.docker.io",
  "ghcr.io",
  "quay.io",
  "gcr.io",
  "registry.k8s.io",
  "public.ecr.aws",
];
