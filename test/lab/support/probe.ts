/**
 * Opens connections from the network that it is started in. Standard input: a JSON list of `Target`; standard output: the
 * same list of answers, `true` where the other side was reached, listening or not, `false` where nothing came back or
 * the way was refused.
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

/** What is tried. */
export interface Target {
  readonly address: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  /** Port of the caller, over TCP. Default: any. */
  readonly from?: number;
}

/** How long an answer may take, in milliseconds: the first packet of a connection is sent again after a second. */
const patience = 2_500;

/** Of a port that nobody serves comes a refusal by the other side itself, of one behind a closed way none, or the way's. */
const reached = (error: NodeJS.ErrnoException): boolean => error.code === "ECONNREFUSED" || error.code === "ECONNRESET";

/** An answer that is there already counts, however late this process comes to read it on a busy machine. */
const afterReading = (end: (answer: boolean) => void) => (): void => void setImmediate(end, false);

function overTcp({ address, port, from }: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, ...(from === undefined ? {} : { localPort: from }) });
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(afterReading(end), patience);
    socket.once("connect", () => {
      end(true);
    });
    socket.once("error", (error) => {
      end(reached(error));
    });
  });
}

/** A question for the root's name servers (RFC 1035 §4.1), which a DNS server answers, and any other host refuses. */
const question = Buffer.from("000101000001000000000000" + "00" + "00020001", "hex");

function overUdp({ address, port }: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    let open = true;
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      clearInterval(again);
      if (open) socket.close();
      open = false;
      resolve(answer);
    };
    const timer = setTimeout(afterReading(end), patience);
    const send = (): void => {
      socket.send(question, (error) => {
        if (error !== null) end(reached(error));
      });
    };
    const again = setInterval(send, 800);
    socket.once("message", () => {
      end(true);
    });
    socket.once("error", (error) => {
      end(reached(error));
    });
    socket.connect(port, address, send);
  });
}

const attempt = (target: Target): Promise<boolean> => (target.protocol === "TCP" ? overTcp(target) : overUdp(target));

/** What wasn't reached is tried once more: a packet may be lost. */
async function twice(target: Target): Promise<boolean> {
  return (await attempt(target)) || attempt(target);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const targets = JSON.parse(await text(process.stdin)) as readonly Target[];
  process.stdout.write(JSON.stringify(await Promise.all(targets.map(twice))));
}
