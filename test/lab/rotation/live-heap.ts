import { once } from "node:events";

interface Answer {
  readonly id?: number;
  readonly error?: { readonly message: string };
  readonly result?: { readonly usedSize?: number };
}

/**
 * What a process of Node.js keeps: the part of its heap that is in use after its garbage was collected, in bytes.
 * Resident memory says little of that, as the heap grows with what nobody has collected yet.
 *
 * @param inspector its inspector, `ws://…` (Chrome DevTools Protocol)
 */
export async function liveHeap(inspector: string): Promise<number> {
  const socket = new WebSocket(inspector);
  try {
    await once(socket, "open");
    await ask(socket, 1, "HeapProfiler.enable");
    await ask(socket, 2, "HeapProfiler.collectGarbage");
    const { usedSize } = await ask(socket, 3, "Runtime.getHeapUsage");
    if (usedSize === undefined) throw new Error(`${inspector} tells no size of the heap`);
    return usedSize;
  } finally {
    socket.close();
  }
}

function ask(socket: WebSocket, id: number, method: string): Promise<NonNullable<Answer["result"]>> {
  return new Promise((resolve, reject) => {
    const hear = ({ data }: MessageEvent): void => {
      const answer = JSON.parse(String(data)) as Answer;
      if (answer.id !== id) return;
      socket.removeEventListener("message", hear);
      if (answer.error === undefined) resolve(answer.result ?? {});
      else reject(new Error(`${method}: ${answer.error.message}`));
    };
    socket.addEventListener("message", hear);
    socket.addEventListener("close", () => {
      reject(new Error(`${method}: the inspector has closed`));
    });
    socket.send(JSON.stringify({ id, method }));
  });
}
