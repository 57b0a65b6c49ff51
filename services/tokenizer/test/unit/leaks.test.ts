import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testPans } from "../corpus.ts";
import { Leaks } from "../lab/leaks.ts";

describe("the scan for leaks", () => {
  const key = Buffer.from("0123456789abcdef0123456789abcdef", "hex");

  it("finds card numbers of any brand, whether the suite named them or not, and shows none whole", () => {
    for (const pan of Object.values(testPans)) {
      const leaks = new Leaks();
      leaks.look("log", `{"msg":"${pan}"}`);
      assert.equal(leaks.found.length, 1, pan);
      assert.ok(!leaks.found.join().includes(pan));
    }
  });

  it("finds secrets as they are, in hexadecimal digits and in base64, among any bytes", () => {
    for (const form of [key, key.toString("hex"), key.toString("base64")]) {
      const leaks = new Leaks();
      leaks.add("data key", key);
      leaks.look("table", Buffer.concat([Buffer.from([0, 255]), Buffer.from(form), Buffer.from([7])]));
      assert.deepEqual(leaks.found, ["table: data key"]);
    }
  });

  it("looks into every file of a folder", () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenshield-leaks-"));
    try {
      mkdirSync(join(folder, "binlog"));
      writeFileSync(join(folder, "binlog/0001"), `\0\0${testPans.visa}\0`);
      const leaks = new Leaks();
      leaks.lookInto("files", folder);
      assert.deepEqual(leaks.found, ["files/0001: card number 411111…1111"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("finds nothing in tokens, masked numbers and digests", () => {
    const leaks = new Leaks();
    leaks.add("data key", key);
    leaks.look("log", "tok_9aXb4111111111111111_= 9999109184779722 411111******1111 a4111111111111111f");
    assert.deepEqual(leaks.found, []);
  });
});
