import type { ResourceProvider } from "../protocol/provider.ts";
import { TypedProvider } from "../protocol/typed-provider.ts";
import { randomPassword } from "./random-password.ts";

/** The package `random`: passwords only. Other random values would put their secret into the id, which is no secret. */
export function createRandomProvider(): ResourceProvider {
  return new TypedProvider({
    name: "random",
    version: "4.21.2",
    types: { "random:index/randomPassword:RandomPassword": randomPassword },
  });
}
