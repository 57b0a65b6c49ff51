import { closes, type Boundary, type Emit, type Matcher, opens } from "../detect/matcher.ts";

const prefix = Buffer.from("tok_");
const slotPrefix = Buffer.from("cvt_");
const luhnPrefix = Buffer.from("9999");
const slotLength = 47;

const body = new Uint8Array(256);
for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") body[letter.charCodeAt(0)] = 1;

const wordLetter = /^[A-Za-z0-9_]$/;

function isWord(byte: number | undefined): boolean {
  return byte !== undefined && wordLetter.test(String.fromCharCode(byte));
}

/** `tok_`, then letters, digits, `_` and `-`, then any number of `=`: where it ends if it begins at `at`. */
function prefixEnd(bytes: Uint8Array, at: number, end: number): number {
  let here = at + prefix.length;
  while (here < end && body[bytes[here] ?? 0] === 1) here++;
  if (here === at + prefix.length) return -1;
  while (here < end && bytes[here] === 0x3d) here++;
  return here;
}

/** `9999` and 12 digits. The check digit isn't looked at: tokens of the prototype have a wrong one. */
function luhnEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + 16 > end) return -1;
  for (let here = at + 4; here < at + 16; here++) if (((bytes[here] ?? 0) - 48) >>> 0 > 9) return -1;
  return at + 16;
}

function slotEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + slotLength > end) return -1;
  for (let here = at + 4; here < at + slotLength; here++) if (body[bytes[here] ?? 0] !== 1) return -1;
  return at + slotLength;
}

/** The next token at or after `from`, of whichever format comes first. */
function next(
  bytes: Buffer,
  from: number,
  end: number,
  boundary: Boundary,
): { start: number; end: number } | undefined {
  let at = from;
  while (at < end) {
    const byte = bytes[at];
    if (byte === 0x74 && bytes[at + 1] === 0x6f && bytes[at + 2] === 0x6b && bytes[at + 3] === 0x5f) {
      const until = prefixEnd(bytes, at, end);
      if (until > 0 && !isWord(at > 0 ? bytes[at - 1] : undefined)) return { start: at, end: until };
    } else if (byte === 0x63 && bytes[at + 1] === 0x76 && bytes[at + 2] === 0x74 && bytes[at + 3] === 0x5f) {
      const until = slotEnd(bytes, at, end);
      if (until > 0 && !isWord(at > 0 ? bytes[at - 1] : undefined)) return { start: at, end: until };
    } else if (byte === 0x39 && bytes[at + 1] === 0x39 && bytes[at + 2] === 0x39 && bytes[at + 3] === 0x39) {
      const until = luhnEnd(bytes, at, end);
      if (until > 0 && opens(bytes, at, from, boundary) && closes(bytes, until, end, boundary)) {
        return { start: at, end: until };
      }
    }
    at++;
  }
  return undefined;
}

/** A token of full length whose padding got lost or doubled on its way is looked up with the one `=` that it was made with. */
function padded(token: string): string {
  const bare = token.replace(/=+$/, "");
  return bare.startsWith("tok_") && bare.length === 47 ? `${bare}=` : token;
}

/** Tokens of both formats, and slots of verification codes, whatever the format in force (data plane, section 4). */
export const tokenMatcher: Matcher = {
  shortest: prefix.length + 1,
  fewestDigits: 0,
  find(bytes: Uint8Array, start: number, end: number, boundary: Boundary, emit: Emit) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, end);
    let at = start;
    for (let found = next(view, at, end, boundary); found !== undefined; found = next(view, at, end, boundary)) {
      emit(found.start, found.end, padded(view.toString("latin1", found.start, found.end)));
      at = found.end;
    }
  },
  integer(digits) {
    return /^9999\d{12}$/.test(digits) ? digits : undefined;
  },
  possible(bytes) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return view.includes(prefix) || view.includes(luhnPrefix) || view.includes(slotPrefix);
  },
};

/** Whether text is written like a token of one of the formats. */
export function isToken(text: string): boolean {
  return /^tok_[A-Za-z0-9_-]+=*$/.test(text) || /^9999\d{12}$/.test(text);
}

/** Whether text is written like the slot of a verification code. */
export function isSlot(text: string): boolean {
  return /^cvt_[A-Za-z0-9_-]{43}$/.test(text);
}
