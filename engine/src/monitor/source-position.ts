import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { SourcePosition, StackTrace } from "@pulumi/pulumi/proto/source_pb.js";

/** A place in the program as state keeps it: `project:///<path below the project>#<line>,<column>`; empty if unknown. */
export function sourcePosition(position: SourcePosition | undefined, root: string): string {
  if (position === undefined) return "";
  const uri = position.getUri();
  if (!uri.startsWith("file://")) return "";
  const path = relative(root, fileURLToPath(uri));
  const column = position.getColumn() === 0 ? "" : `,${position.getColumn()}`;
  return `project:///${encodeURI(path)}#${position.getLine()}${column}`;
}

/** The places of a stack trace. */
export function stackTrace(trace: StackTrace | undefined, root: string): readonly string[] {
  return (trace?.getFramesList() ?? []).map((frame) => sourcePosition(frame.getPc(), root));
}
