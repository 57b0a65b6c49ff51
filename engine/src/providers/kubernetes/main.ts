import { runPlugin } from "../protocol/main.ts";
import { createKubernetesProvider } from "./index.ts";

await runPlugin(createKubernetesProvider);
