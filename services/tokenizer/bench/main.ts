import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { keyLength, panDigest, seal, secretKey } from "../src/crypto/index.ts";
import { binaryTypes, inspectBody, noRules, panMatcher } from "../src/detect/index.ts";
import { migrate, migrations, MySqlDatabase } from "../src/storage/index.ts";
import { makeToken } from "../src/tokens/index.ts";
import { madePan } from "../test/corpus.ts";
import { reqmod } from "../test/icap-client.ts";
import { mysqlRoot, startMySql, startVault, vaultProgram } from "../test/lab/servers.ts";
import {
  closedLoop,
  type LoadResult,
  merged,
  openLoop,
  startApplication,
  summary,
  wholeHttp,
  wholeIcap,
  type Workload,
} from "./load.ts";
import { cardInsert, type ServerOrder, type ServerPorts } from "./server.ts";

const seconds = Number(process.env["BENCH_SECONDS"] ?? "5");
/** Lines to measure, by a part of their names: `npm run bench -- naive tokenize`. Default: all. */
const wanted = process.argv.slice(2);
const login = { user: "tokenizer", password: "bench-Password-1" };

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Processes whose processor time is told, by what they are. */
type Watched = Readonly<Record<string, number | undefined>>;

/** Processor time of a process so far, in microseconds; the kernel counts in hundredths of a second. */
function processorTime(pid: number | undefined): number {
  const fields =
    readFileSync(`/proc/${pid ?? "self"}/stat`, "latin1")
      .split(") ")[1]
      ?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

const notMeasured: LoadResult = { perSecond: NaN, p50: NaN, p95: NaN, p99: NaN, failures: 0, latencies: [] };

/** Whoever is measured under one load, and the processes whose time is told. */
interface Contender {
  readonly name: string;
  readonly watched: Watched;
  readonly measure: (milliseconds: number) => Promise<LoadResult>;
}

/** Turns that contenders take, so that what disturbs the machine disturbs all of them alike. */
const turns = Number(process.env["BENCH_TURNS"] ?? "5");

/** Measures contenders in turns, and prints a line for each: rate, latencies, processor time a request. */
async function race(connections: number | string, contenders: readonly Contender[]): Promise<readonly LoadResult[]> {
  const chosen = contenders.map(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
  const length = chosen.filter(Boolean).length > 1 ? (seconds * 1000) / turns : seconds * 1000;
  const runs = contenders.map((): LoadResult[] => []);
  const spent = contenders.map(({ watched }) => Object.keys(watched).map(() => 0));
  for (let turn = 0; turn * length < seconds * 1000; turn++) {
    for (const [index, { watched, measure }] of contenders.entries()) {
      if (chosen[index] !== true) continue;
      const before = Object.values(watched).map(processorTime);
      runs[index]?.push(await measure(length));
      Object.values(watched).forEach((pid, at) => {
        const own = spent[index];
        if (own !== undefined) own[at] = (own[at] ?? 0) + processorTime(pid) - (before[at] ?? 0);
      });
    }
  }
  return contenders.map((contender, index) => {
    const own = runs[index] ?? [];
    if (own.length === 0) return notMeasured;
    const result = merged(own);
    show(contender, connections, result, spent[index] ?? []);
    return result;
  });
}

function show(
  { name, watched }: Contender,
  connections: number | string,
  result: LoadResult,
  spent: readonly number[],
): void {
  const requests = result.perSecond * seconds;
  const times = Object.keys(watched).map((what, at) => `${what} ${((spent[at] ?? 0) / requests).toFixed(0)} µs`);
  const figures = [result.p50, result.p95, result.p99].map((value) => value.toFixed(2).padStart(8)).join(" ");
  print(
    `${name.padEnd(24)} ${connections.toString().padStart(4)} ${result.perSecond.toFixed(0).padStart(7)}/s ${figures} ms  ${times.join(", ")}${result.failures === 0 ? "" : `, ${result.failures} FAILED`}`,
  );
}

/** Measures one alone. */
async function row(
  name: string,
  connections: number | string,
  watched: Watched,
  measure: (milliseconds: number) => Promise<LoadResult>,
): Promise<void> {
  await race(connections, [{ name, watched, measure }]);
}

/** Bodies without card numbers, as shops send them: how fast the scanner gets through them. */
function scanner(): void {
  const rules = { matcher: panMatcher, allow: noRules, cvv: "refuse", binary: binaryTypes, unknown: "refuse" } as const;
  const order = (id: number): object => ({
    id,
    customer: {
      name: "Jane Q. Public",
      email: `jane${id}@example.com`,
      phone: "+1 415 555 0132",
      city: "Springfield",
      zip: "94107",
    },
    items: [
      { sku: "AB-1234", quantity: 2, price: 19.99 },
      { sku: "CD-9876", quantity: 1, price: 5.25 },
    ],
    created: "2026-01-02T03:04:05.123Z",
    note: "Please leave the parcel at the front desk, thank you very much.",
  });
  const field =
    "name=Jane+Public&email=jane%40example.com&city=Springfield&note=Please+leave+the+parcel+at+the+front+desk&total=19.99&";
  const element =
    "<order><name>Jane Public</name><city>Springfield</city><note>Please leave the parcel at the front desk</note></order>";
  for (const [type, text] of [
    ["application/json", JSON.stringify(Array.from({ length: 10_000 }, (_, id) => order(id)))],
    ["application/x-www-form-urlencoded", field.repeat(30_000)],
    ["application/xml", `<orders>${element.repeat(30_000)}</orders>`],
    [
      "text/plain",
      "The quick brown fox jumps over the lazy dog, 12345 times on 2024-01-02 at 12:30; total 19.99 EUR.\n".repeat(
        40_000,
      ),
    ],
  ] as const) {
    const body = Buffer.from(text);
    let best = 0;
    for (let round = 0; round < 15; round++) {
      const started = process.cpuUsage();
      inspectBody(body, type, rules);
      best = Math.max(best, body.length / process.cpuUsage(started).user);
    }
    print(
      `scanner ${type.padEnd(36)} ${best.toFixed(0)} MB per second of processor time, of ${(body.length / 1e6).toFixed(1)} MB`,
    );
  }
}

function bareCrypto(): number {
  const key = secretKey(Buffer.alloc(keyLength, 1));
  const end = performance.now() + 2000;
  let count = 0;
  for (; performance.now() < end; count++) {
    const token = makeToken("prefix");
    seal(key, "4111111111111111", { tenant: "bench", token, column: "card_number" });
    panDigest(key, "bench", "4111111111111111");
  }
  return count / 2;
}

async function bareInsert(database: MySqlDatabase, connections: number, milliseconds: number): Promise<LoadResult> {
  const key = secretKey(Buffer.alloc(keyLength, 1));
  const latencies: number[] = [];
  const begin = performance.now();
  const end = begin + milliseconds;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < end) {
        const token = makeToken("prefix");
        const sealed = seal(key, "4111111111111111", { tenant: "bench", token, column: "card_number" });
        const started = performance.now();
        const { sql, values } = cardInsert(token, sealed, panDigest(key, "bench", token), "4111111111111111");
        await database.execute(sql, values);
        latencies.push(performance.now() - started);
      }
    }),
  );
  return summary(latencies, (performance.now() - begin) / 1000, 0);
}

/** Reads the metrics once a second while something is measured. */
async function scraped<Result>(port: number, work: () => Promise<Result>): Promise<Result> {
  const scrapes = new Set<Promise<string>>();
  const timer = setInterval(() => {
    const one = fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text());
    scrapes.add(one);
  }, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await Promise.all(scrapes);
  }
}

/** Starts a server in a process of its own, so that it doesn't share its thread with the load. */
async function startServer(order: ServerOrder): Promise<{ ports: ServerPorts; child: ChildProcess }> {
  const child = fork(join(import.meta.dirname, "server.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ports = await new Promise<ServerPorts>((resolve, reject) => {
    child.once("message", (message) => {
      resolve(message as ServerPorts);
    });
    child.once("exit", (code) => {
      reject(new Error(`the server ended with status ${code ?? "none"}`));
    });
    child.send(order);
  });
  child.removeAllListeners("exit");
  return { ports, child };
}

const isOk = (answer: Buffer): boolean => answer.toString("latin1", 9, 12) === "200";

function post(body: string): Buffer {
  return Buffer.from(
    `POST /pay HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function tokenizing(port: number): Workload {
  let seed = 1;
  const request = (): Buffer =>
    post(`{"order":${seed},"card":{"number":"${madePan("4", 16, seed++)}","name":"Jane Public"},"amount":"19.99"}`);
  return { port, whole: wholeHttp, request, isRight: isOk };
}

async function run(): Promise<void> {
  const mysqlAt = mysqlRoot();
  const vaultAt = vaultProgram();
  if (wanted.length === 0 || wanted.includes("scanner")) scanner();
  print(`bare AES-GCM, HMAC and token ${bareCrypto().toFixed(0)}/s on one core`);
  if ("missing" in mysqlAt || "missing" in vaultAt) {
    print(
      `the rest needs MySQL and Vault: ${"missing" in mysqlAt ? mysqlAt.missing : ""} ${"missing" in vaultAt ? vaultAt.missing : ""}`,
    );
    return;
  }
  const [mysql, vault] = await Promise.all([startMySql(mysqlAt.root), startVault(vaultAt.program)]);
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-bench-"));
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, vault.rootToken, { mode: 0o600 });
  const ssl = { ca: mysql.authority.certificate };
  const root = await createConnection({
    host: "127.0.0.1",
    port: mysql.port,
    user: "root",
    password: mysql.rootPassword,
    ssl,
  });
  await root.query("CREATE DATABASE tokenshield");
  await root.query(`CREATE USER ${login.user}@'127.0.0.1' IDENTIFIED BY '${login.password}'`);
  await root.query(`GRANT ALL ON tokenshield.* TO ${login.user}@'127.0.0.1'`);
  const [durable] = await root.query("SELECT @@sync_binlog AS binlog, @@innodb_flush_log_at_trx_commit AS redo");
  print(`MySQL: ${JSON.stringify((durable as object[])[0])} (1 and 1 are fully durable)`);
  await root.end();
  for (const [path, body] of [
    ["sys/mounts/transit", { type: "transit" }],
    ["transit/keys/tokenshield-acme", {}],
  ] as const) {
    const headers = { "x-vault-token": vault.rootToken, "content-type": "application/json" };
    await fetch(`${vault.address}/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  }
  const options = {
    host: "localhost",
    port: mysql.port,
    database: "tokenshield",
    poolSize: 130,
    ca: mysql.authority.certificate,
  };
  const database = await MySqlDatabase.open(options, [login]);
  await migrate(database, migrations);
  const application = await startApplication();
  const order: Omit<ServerOrder, "kind"> = {
    application: application.port,
    mysql: { port: mysql.port, ca: mysql.authority.certificate, ...login },
    vault: { address: vault.address, tokenFile },
  };
  const children: ChildProcess[] = [];
  try {
    const watched = (server: ChildProcess): Watched => ({
      server: server.pid,
      load: process.pid,
      MySQL: mysql.pid,
    });
    print(`${"".padEnd(22)} conns     rate        p50      p95      p99     processor time a request`);
    // The pool that the service has, so that the figures can be compared.
    const pool = await MySqlDatabase.open({ ...options, poolSize: 25 }, [login]);
    const started = await Promise.all(
      (["naive", "naive-activity", "tokenizer"] as const).map((kind) => startServer({ ...order, kind })),
    );
    children.push(...started.map((server) => server.child));
    const [plain, both, own] = started;
    if (plain === undefined || both === undefined || own === undefined) throw new Error("a server is missing");
    const { ports, child } = own;
    for (const connections of [1, 16, 128]) {
      const server = (name: string, { ports: its, child: process }: typeof own): Contender => ({
        name,
        watched: watched(process),
        measure: (milliseconds) => closedLoop(tokenizing(its.http), connections, milliseconds),
      });
      const [insert, naive, naiveBoth, tokenizer] = await race(connections, [
        {
          name: "bare INSERT",
          watched: { client: process.pid, MySQL: mysql.pid },
          measure: (milliseconds) => bareInsert(pool, connections, milliseconds),
        },
        server("naive, card row only", plain),
        server("naive, card and activity", both),
        server("tokenize (8080)", own),
      ]);
      const times = (other: LoadResult | undefined): string =>
        ((tokenizer?.perSecond ?? Number.NaN) / (other?.perSecond ?? Number.NaN)).toFixed(2);
      print(
        `  tokenize = ${times(naiveBoth)} x naive with activity, ${times(naive)} x naive without, ${times(insert)} x bare INSERT`,
      );
    }
    await pool.close();
    await row("tokenize (8080), 1000/s", 64, watched(child), () =>
      openLoop(tokenizing(ports.http), 1000, 64, seconds * 1000),
    );
    const rate = 100;
    const steady = (milliseconds: number): Promise<LoadResult> =>
      openLoop(tokenizing(ports.http), rate, 16, milliseconds);
    const [unread, read] = await race(`${rate}/s`, [
      { name: "not scraped", watched: watched(child), measure: steady },
      {
        name: "scraped each second",
        watched: watched(child),
        measure: (time) => scraped(ports.metrics, () => steady(time)),
      },
    ]);
    const more = ((read?.p95 ?? Number.NaN) / (unread?.p95 ?? Number.NaN) - 1) * 100;
    if (!Number.isNaN(more)) {
      print(
        `  p95 ${more >= 0 ? "+" : ""}${more.toFixed(1)} % by a scrape a second, 30 times as many as Prometheus makes`,
      );
    }
    const untouched = post('{"order":1,"note":"nothing to hide","amount":"19.99"}');
    for (const connections of [1, 16, 128]) {
      const work = { port: ports.http, whole: wholeHttp, request: () => untouched, isRight: isOk };
      await row("pass-through (8080)", connections, watched(child), () =>
        closedLoop(work, connections, seconds * 1000),
      );
    }
    const rows = await database.query("SELECT token FROM credit_cards WHERE encryption_key_id <> 'bench' LIMIT 2000");
    const requests = rows.map((found) =>
      reqmod(JSON.stringify({ card: found["token"] }), "Allow: 204\r\nX-Client-IP: 192.0.2.1\r\n"),
    );
    const nothing = reqmod('{"amount":"19.99"}');
    for (const connections of [1, 16, 128]) {
      const request = (index: number): Buffer => requests[index % requests.length] ?? nothing;
      const work = { port: ports.icap, whole: wholeIcap, request, isRight: isOk };
      await row("reveal (ICAP REQMOD)", connections, watched(child), () =>
        closedLoop(work, connections, seconds * 1000),
      );
    }
    for (const connections of [1, 16, 128]) {
      const isRight = (answer: Buffer): boolean => answer.toString("latin1", 9, 12) === "204";
      const work = { port: ports.icap, whole: wholeIcap, request: () => nothing, isRight };
      await row("ICAP 204", connections, watched(child), () => closedLoop(work, connections, seconds * 1000));
    }
  } finally {
    print(
      `load average ${loadavg()
        .map((value) => value.toFixed(1))
        .join(", ")} on ${availableParallelism()} cores`,
    );
    for (const child of children) child.kill();
    application.server.close();
    await database.close();
    await Promise.all([mysql.stop(), vault.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

await run();
