import assert from "node:assert/strict";
import { unsupported } from "@tokenshield/lab";
import { alertmanagerConfig, type Receiver } from "../../bin/components/monitoring/receivers.js";
import { freePort } from "../../services/tokenizer/test/lab/servers.ts";
import { ChrootProcess } from "./support/chroot.ts";
import { eventually } from "./support/lab.ts";
import { imageRoot, PodFolder, type TestServer, testServer } from "./support/proxy-processes.ts";

const receivers: readonly Receiver[] = [
  { name: "on-call", kind: "webhook", severities: ["critical"], file: "on-call-address" },
  { name: "desk", kind: "webhook", severities: ["warning", "info"], file: "desk-address" },
];

/** What Alertmanager sends to a webhook, as far as it is looked at. */
interface Message {
  readonly alerts: readonly { readonly status: string; readonly labels: Readonly<Record<string, string>> }[];
}

/** Alertmanager of the lab's image as a process, its receivers' secrets as files: no cluster is needed. */
describe("Alertmanager with receivers", function () {
  let folder: PodFolder | undefined;
  let server: TestServer | undefined;
  let alertmanager: ChrootProcess | undefined;
  let address = "";

  before(async function () {
    this.timeout(600_000);
    const reason = unsupported();
    if (reason !== undefined) {
      process.stdout.write(`      skipped: ${reason}\n`);
      this.skip();
    }
    server = await testServer((_, response) => response.end());
    const receiver = `http://127.0.0.1:${server.port}`;
    folder = new PodFolder("alertmanager");
    folder.write("settings", "alertmanager.yaml", alertmanagerConfig(receivers));
    for (const { name, file } of receivers) folder.write("secrets", file, `${receiver}/${name}`);
    const port = await freePort();
    alertmanager = new ChrootProcess({
      root: await imageRoot("alertmanager"),
      mounts: {
        "/etc/alertmanager": folder.volume("settings"),
        "/mnt/secrets": folder.volume("secrets"),
        "/alertmanager": folder.volume("data"),
      },
      command: [
        "/bin/alertmanager",
        "--config.file=/etc/alertmanager/alertmanager.yaml",
        "--storage.path=/alertmanager",
        "--cluster.listen-address=",
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      log: `${folder.path}/log`,
    });
    await alertmanager.listens(port);
    address = `http://127.0.0.1:${port}`;
  });

  after(async () => {
    await alertmanager?.stop();
    await server?.stop();
    folder?.remove();
  });

  const tell = async (name: string, severity: string): Promise<void> => {
    const alert = { labels: { alertname: name, severity, tenant: "acme" } };
    const { status } = await fetch(`${address}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify([alert]),
    });
    assert.equal(status, 200);
  };

  /** What each receiver was told so far: its path, and names and states of alerts. */
  const told = (): Promise<readonly string[]> =>
    Promise.resolve(
      (server?.got ?? []).flatMap(({ target, body }) =>
        (JSON.parse(body) as Message).alerts.map(
          ({ labels, status }) => `${target} ${labels["alertname"] ?? ""} ${status}`,
        ),
      ),
    );

  it("tells a critical alert to who hears of those, by the address in its file, and nobody else", async function () {
    this.timeout(60_000);
    await tell("SecretProviderDown", "critical");
    const seen = await eventually(told, (list) => list.length > 0, 30_000);
    assert.deepEqual(seen, ["/on-call SecretProviderDown firing"]);
  });
});
