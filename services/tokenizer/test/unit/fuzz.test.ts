import { fuzz } from "../fuzz/run.ts";
import { fuzzTargets } from "../fuzz/targets.ts";

describe("fuzzing, the bounded run", () => {
  for (const [name, target] of Object.entries(fuzzTargets)) {
    it(`${name}: 5,000 inputs without a crash, a wrong acceptance or a card number left`, async () => {
      await fuzz(target, 5000, 1);
    });
  }
});
