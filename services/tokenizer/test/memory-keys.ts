import { randomBytes } from "node:crypto";
import type { KeyService } from "../src/keys/index.ts";

/** A key service for tests that look at something else: its keys are wrapped by nothing but their base64. */
export class MemoryKeys implements KeyService {
  create(): ReturnType<KeyService["create"]> {
    const key = randomBytes(32);
    return Promise.resolve({ key, wrapped: `vault:v1:${key.toString("base64")}`, kekVersion: 1 });
  }

  unwrap(wrapped: string): Promise<Buffer> {
    return Promise.resolve(Buffer.from(wrapped.slice("vault:v1:".length), "base64"));
  }

  rewrap(wrapped: string): ReturnType<KeyService["rewrap"]> {
    return Promise.resolve({ wrapped, kekVersion: 1 });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
