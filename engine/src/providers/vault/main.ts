import { runPlugin } from "../protocol/main.ts";
import { createVaultProvider } from "./index.ts";

await runPlugin(createVaultProvider);
