import assert from "node:assert/strict";
import fc from "fast-check";
import { type Node, World } from "./support/world.ts";

/** Lets `steps` calls happen in turn, with time passing, all servers restarted by their supervisor. */
async function calm(world: World, steps: number): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    await world.deliver(0);
    if (step % 10 === 9) {
      world.pass(500);
      for (const node of world.nodes) node.running = true;
    }
  }
}

const serving = (world: World): readonly Node[] => world.nodes.filter(({ state }) => state === "online");

function assertWhole(world: World): void {
  const trail = (): string => world.log.slice(-40).join("\n");
  assert.deepEqual(world.violations, [], trail());
  assert.equal(serving(world).length, world.nodes.length, `not all came back:\n${trail()}`);
  assert.equal(new Set(world.nodes.map(({ group }) => group)).size, 1, trail());
  assert.equal(world.nodes.filter(({ label }) => label === "primary").length, 1, trail());
  for (const node of world.nodes) {
    world.flush(node);
    assert.deepEqual(
      [...world.acknowledged].filter((row) => !node.disk.has(row)),
      [],
      `${node.member.name}\n${trail()}`,
    );
  }
}

function at(world: World, index: number): Node {
  const node = world.nodes[index % world.nodes.length];
  assert.ok(node);
  return node;
}

type Event = readonly [what: string, choice: number];

/** What can happen to a world; deliveries and time are by far the most frequent. */
const events: fc.Arbitrary<Event> = fc.tuple(
  fc.oneof(
    { weight: 60, arbitrary: fc.constant("deliver") },
    { weight: 10, arbitrary: fc.constantFrom("pass", "write", "flush") },
    { weight: 6, arbitrary: fc.constantFrom("restart-all", "heal") },
    {
      weight: 6,
      arbitrary: fc.constantFrom("kill", "freeze", "thaw", "split", "cut-api", "restart-agent", "stop-agent", "leave"),
    },
    { weight: 1, arbitrary: fc.constantFrom("kill-all", "agents-all") },
  ),
  fc.nat(63),
);

async function happen(world: World, [what, choice]: Event): Promise<void> {
  const node = at(world, choice);
  const steps: Readonly<Record<string, () => void>> = {
    pass: () => {
      world.pass(1_000 + 100 * choice);
    },
    write: () => world.write(),
    flush: () => {
      world.flush(node);
    },
    kill: () => {
      world.kill(node);
    },
    freeze: () => {
      node.frozen = true;
    },
    thaw: () => {
      node.frozen = false;
    },
    split: () => {
      node.zone = choice % 3;
    },
    "cut-api": () => {
      node.api = false;
    },
    "restart-agent": () => {
      world.startAgent(node);
    },
    "stop-agent": () => {
      world.stopAgent(node);
    },
    leave: () => {
      if (node.agent !== undefined) node.agent.leaving = !node.agent.leaving;
    },
    "kill-all": () => {
      world.nodes.forEach((each) => {
        world.kill(each);
      });
    },
    "agents-all": () => {
      world.nodes.forEach((each) => {
        world.startAgent(each);
      });
    },
    "restart-all": () => {
      for (const each of world.nodes) each.running = true;
    },
    heal: () => {
      for (const each of world.nodes) {
        each.zone = 0;
        each.api = true;
        each.frozen = false;
      }
    },
  };
  if (what === "deliver") await world.deliver(choice);
  else steps[what]?.();
}

/** Puts everything right that is not the agents' work. */
function repair(world: World): void {
  for (const node of world.nodes) {
    Object.assign(node, { running: true, frozen: false, zone: 0, api: true });
    if (node.agent === undefined) world.startAgent(node);
    if (node.agent !== undefined) node.agent.leaving = false;
  }
}

describe("agents in a simulated world", function () {
  this.timeout(120_000);

  it("form one group from nothing, with one start", async () => {
    const world = new World(3);
    await calm(world, 400);
    assertWhole(world);
    assert.equal(world.bootstraps, 1);
  });

  it("come back from the loss of all servers without losing an acknowledged row", async () => {
    const world = new World(3);
    await calm(world, 400);
    for (let row = 0; row < 20; row += 1) world.write();
    for (const node of world.nodes) world.kill(node);
    await calm(world, 800);
    assertWhole(world);
    assert.equal(world.acknowledged.size, 20);
    assert.equal(world.bootstraps, 2);
    assert.equal(world.record.epoch, 2);
  });

  it("come back from the loss of two of three, the primary among them", async () => {
    const world = new World(3);
    await calm(world, 400);
    for (let row = 0; row < 20; row += 1) world.write();
    for (const node of world.nodes.slice(0, 2)) world.kill(node);
    await calm(world, 1_200);
    assertWhole(world);
  });

  it("don't take one isolated secondary for the loss of all", async () => {
    const world = new World(3);
    await calm(world, 400);
    at(world, 2).zone = 1;
    await calm(world, 1_000);
    assert.equal(world.bootstraps, 1);
    assert.equal(serving(world).length, 2);
    at(world, 2).zone = 0;
    await calm(world, 1_000);
    assertWhole(world);
    assert.equal(world.bootstraps, 1);
  });

  it("don't start a group while a configured member is silent, and do once an operator says it is lost", async () => {
    const world = new World(3);
    await calm(world, 400);
    for (const node of world.nodes) world.kill(node);
    const gone = at(world, 2);
    world.stopAgent(gone);
    gone.zone = 9;
    await calm(world, 800);
    assert.equal(world.bootstraps, 1);
    world.record = { ...world.record, assumeLost: { epoch: world.record.epoch, members: ["m-2"] } };
    await calm(world, 800);
    assert.equal(world.bootstraps, 2);
    assert.equal(serving(world).length, 2);
  });

  it("don't start a group whose committed rows nobody has", async () => {
    const world = new World(3);
    await calm(world, 400);
    for (let row = 0; row < 5; row += 1) world.write();
    for (let round = 0; round < 40; round += 1) await calm(world, 10);
    assert.notEqual(world.record.committed, "");
    for (const node of world.nodes) world.wipe(node);
    await calm(world, 800);
    assert.equal(world.bootstraps, 1);
    const action = at(world, 0).agent?.action;
    assert.ok(action?.kind === "blocked" && action.by === "lost", JSON.stringify(action));
  });

  it("rejoin with an empty disk", async () => {
    const world = new World(3);
    await calm(world, 400);
    for (let row = 0; row < 80; row += 1) world.write();
    world.wipe(at(world, 1));
    await calm(world, 800);
    assertWhole(world);
    assert.equal(world.bootstraps, 1);
  });

  it("keep a member with errant transactions out, and say so", async () => {
    const world = new World(3);
    await calm(world, 400);
    world.kill(at(world, 1));
    at(world, 1).disk.add(999);
    await calm(world, 800);
    assert.equal(serving(world).length, 2);
    const action = at(world, 1).agent?.action;
    assert.ok(action?.kind === "blocked" && action.by === "errant", JSON.stringify(action));
  });

  it("hand over before the primary leaves", async () => {
    const world = new World(3);
    await calm(world, 400);
    const leaver = world.nodes.find(({ group, state }) => state === "online" && group?.primary !== undefined);
    const primary = leaver?.group?.primary;
    assert.ok(primary?.agent);
    primary.agent.leaving = true;
    await calm(world, 400);
    assert.equal(primary.state, "offline");
    assert.equal(primary.agent.action.kind, "left");
    assert.ok(world.write());
    assert.ok(world.log.some((line) => line.includes("hand-over")));
  });

  it("don't leave the lead with the last member, which an update of the pods begins with", async () => {
    const world = new World(3);
    await calm(world, 400);
    const last = at(world, 2);
    assert.ok(last.group);
    last.group.primary = last;
    await calm(world, 100);
    assert.equal(last.group.primary.member.name, "m-2", "an update may be under way");
    await calm(world, 1_000);
    assert.equal(last.group.primary.member.name, "m-0");
    assertWhole(world);
  });

  for (const size of [3, 5]) {
    it(`never start two groups or lose a row, and always come back, whatever happens to ${size} members`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(2), fc.array(events, { minLength: 100, maxLength: 800 }), async (ages, happenings) => {
          const world = new World(size);
          await calm(world, ages * 100 * size);
          for (const event of happenings) await happen(world, event);
          assert.deepEqual(world.violations, [], world.log.join("\n"));
          repair(world);
          await calm(world, 1_500 * size);
          assertWhole(world);
        }),
        { numRuns: size === 3 ? 150 : 50, endOnFailure: true },
      );
    });
  }
});
