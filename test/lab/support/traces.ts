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

/**
 * @returns the forms in which a file may hold a value: as it is, and in base64 wherever in a text it begins, without the
 *   characters that what stands before and after has a part in
 */
export function formsOfSecret(value: string): readonly Buffer[] {
  const coded = [0, 1, 2].map((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(value)]);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3)).toString("base64");
    return whole.slice(Math.ceil((shift * 8) / 6));
  });
  return [value, ...coded].map((text) => Buffer.from(text, "latin1"));
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
  return processesWithin(`pod${podUid}`);
}

/**
 * @returns the process that holds a pod's network for as long as there is the pod; any other may be a probe, or a
 *   container's that starts anew
 */
export function holderOf(podUid: string): number | undefined {
  return processesOf(podUid).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "pause";
    } catch {
      return false; // it ended between one look and the next
    }
  });
}

/** @returns the processes whose control group's path has a text in it */
function processesWithin(group: string): readonly number[] {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return numbers.filter((pid) => isWithin(pid, group)).map(Number);
}

/** @returns the processes of the lab's parts and of all its pods */
export function processesOfLab(): readonly number[] {
  return processesWithin("/tokenshield-lab/");
}

/** @returns what a process was started with: its command line and its environment */
export function startOf(pid: number): Buffer {
  try {
    return Buffer.concat(["cmdline", "environ"].map((name) => readFileSync(`/proc/${pid}/${name}`)));
  } catch {
    return Buffer.alloc(0); // it ended between one look and the next
  }
}

function isWithin(pid: string, group: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(group);
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
