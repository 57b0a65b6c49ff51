import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";

/** Looks for texts where they would lie in clear: in the memory of processes and in files. */

/** Bytes that are read at a time, and how much of the last is looked at again with the next. */
const step = 4 * 1024 * 1024;
const overlap = 256;

/** @returns the forms in which a program may hold a card number: one or two bytes a digit, whole or in groups of four */
export function formsOf(number: string): readonly Buffer[] {
  const groups = number.match(/\d{1,4}/g) ?? [];
  const texts = [number, groups.join(" "), groups.join("-")];
  return texts.flatMap((text) => [Buffer.from(text, "latin1"), Buffer.from(text, "utf16le")]);
}

/** Asks for the bytes from `at` on, into a buffer; returns how many there are. */
type Source = (into: Buffer, at: number) => number;

function within(source: Source, from: number, to: number, wanted: readonly Buffer[]): boolean {
  const buffer = Buffer.allocUnsafe(overlap + step);
  let kept = 0;
  for (let at = from; at < to;) {
    const read = source(buffer.subarray(kept, kept + Math.min(step, to - at)), at);
    if (read <= 0) return false;
    const seen = buffer.subarray(0, kept + read);
    if (wanted.some((text) => seen.includes(text))) return true;
    kept = Math.min(overlap, seen.length);
    buffer.copyWithin(0, seen.length - kept, seen.length);
    at += read;
  }
  return false;
}

/** @returns the processes of a pod, as the host numbers them */
export function processesOf(podUid: string): readonly number[] {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return numbers.filter((pid) => ofPod(pid, podUid)).map(Number);
}

function ofPod(pid: string, podUid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`pod${podUid}`);
  } catch {
    return false; // it ended between one look and the next
  }
}

/** @returns whether the memory of a process holds one of the texts, in any part that can be read */
export function memoryHolds(pid: number, wanted: readonly Buffer[]): boolean {
  const maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  const areas = [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) r\S+ .*?(\[v\w+\])?$/gm)];
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    const read: Source = (into, at) => {
      try {
        return readSync(memory, into, 0, into.length, at);
      } catch {
        return 0; // an area that has gone, or that the kernel shows to nobody
      }
    };
    return areas.some(
      ([, from = "", to = "", special]) =>
        special === undefined && within(read, parseInt(from, 16), parseInt(to, 16), wanted),
    );
  } finally {
    closeSync(memory);
  }
}

/** @returns the files below a folder that hold one of the texts */
export function filesThatHold(folder: string, wanted: readonly Buffer[]): readonly string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => fileHolds(path, wanted));
}

function fileHolds(path: string, wanted: readonly Buffer[]): boolean {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return false; // servers remove files while they work
  }
  try {
    const read: Source = (into, at) => readSync(file, into, 0, into.length, at);
    return within(read, 0, Number.MAX_SAFE_INTEGER, wanted);
  } finally {
    closeSync(file);
  }
}
