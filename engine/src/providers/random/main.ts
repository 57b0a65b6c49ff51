import { runPlugin } from "../protocol/main.ts";
import { createRandomProvider } from "./index.ts";

await runPlugin(createRandomProvider);
