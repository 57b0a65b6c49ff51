import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

const specials = "!@#$%^&*()_+-=[]{}|;':\",./<>?";

/** How many earlier passwords may not come back (PCI DSS 8.3.7). */
export const rememberedPasswords = 4;

/**
 * Why a password may not be set, in words that don't hold it; undefined if it may. At least 12 and at most 128 characters, one of each:
 * A-Z, a-z, 0-9 and a special character (PCI DSS 8.3.6 asks for 12 with letters and digits).
 */
export function passwordFault(password: string): string | undefined {
  if (password.length < 12) return "must have at least 12 characters";
  if (password.length > 128) return "must have at most 128 characters";
  if (!/[A-Z]/.test(password)) return "must hold an upper-case letter";
  if (!/[a-z]/.test(password)) return "must hold a lower-case letter";
  if (!/[0-9]/.test(password)) return "must hold a digit";
  if (!Array.from(specials).some((special) => password.includes(special))) return `must hold one of ${specials}`;
  return undefined;
}

/** Cost of a hash: 32 MiB and three passes, one of the parameter sets that OWASP's password storage cheat sheet gives for scrypt. */
const cost = { N: 2 ** 15, r: 8, p: 3 } as const;
const hashLength = 32;

/** Runs at most so many hashes at a time, so that a burst of logins takes neither all memory nor all threads. */
const parallel = 2;
const mostWaiting = 64;

/** Too many passwords are being checked now; the caller answers 503 with Retry-After. */
export class PasswordsBusy extends Error {
  constructor() {
    super("too many logins at the same time");
    this.name = "PasswordsBusy";
  }
}

let running = 0;
const waiting: (() => void)[] = [];

async function derive(
  password: string,
  salt: Buffer,
  length: number,
  { N, r, p }: { N: number; r: number; p: number },
): Promise<Buffer> {
  if (running >= parallel) {
    if (waiting.length >= mostWaiting) throw new PasswordsBusy();
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
  } else {
    running += 1;
  }
  try {
    return await new Promise((resolve, reject) => {
      scrypt(password.normalize("NFC"), salt, length, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
        if (error === null) resolve(key);
        else reject(error);
      });
    });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

/** Hashes a password: `scrypt$N$r$p$salt$hash`, the last two in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, hashLength, cost);
  return `scrypt$${cost.N}$${cost.r}$${cost.p}$${salt.toString("base64url")}$${hash.toString("base64url")}`;
}

/** Takes the time of a check and fails: for names that don't exist, so that the answer's time doesn't tell. */
const nobody = `scrypt$${cost.N}$${cost.r}$${cost.p}$${randomBytes(16).toString("base64url")}$${randomBytes(hashLength).toString("base64url")}`;

/**
 * Whether a password belongs to a hash. An undefined or empty hash (no such user, no password set) takes as long and is false.
 *
 * @throws PasswordsBusy
 */
export async function passwordMatches(password: string, hash: string | undefined): Promise<boolean> {
  const [scheme, N, r, p, salt, digest] = (hash === undefined || hash === "" ? nobody : hash).split("$");
  if (scheme !== "scrypt" || salt === undefined || digest === undefined)
    throw new Error("a stored password hash has an unknown scheme");
  const expected = Buffer.from(digest, "base64url");
  const actual = await derive(password, Buffer.from(salt, "base64url"), expected.length, {
    N: Number(N),
    r: Number(r),
    p: Number(p),
  });
  return timingSafeEqual(actual, expected) && hash !== undefined && hash !== "";
}
