import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { accountNamed, catalogue, PasswordRotation } from "@tokenshield/mysql";
import { AgentError } from "../errors.ts";
import { readSecret } from "../secrets.ts";
import { rotationSettings } from "../settings.ts";

const usage = `usage: rotate STEP --account NAME [--generation N] [--password FILE] --admin FILE [--admin-previous FILE]

  state     prints the generation in force and whether the password before it is accepted
  retain    makes the password in FILE the present one, as generation N, and keeps the former one
  verify    logs in on every member with the password in FILE
  discard   ends the password before generation N
  refused   checks that every member refuses the password in FILE

--admin is a file with the password of the account that changes others' (--admin-account, default rotation).
Passwords are read from files, never given as arguments. Each step can be run again.
`;

/**
 * One step of a rotation as a command.
 *
 * @returns the exit status: 0 done, 2 wrong usage
 * @throws RotationRefused, AgentError where the step was not done
 */
export async function rotationCommand(
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      account: { type: "string" },
      generation: { type: "string" },
      password: { type: "string" },
      admin: { type: "string" },
      "admin-previous": { type: "string" },
      "admin-account": { type: "string", default: "rotation" },
      help: { type: "boolean" },
    },
  });
  const [step] = positionals;
  const { account: name, admin } = values;
  if (values.help === true || step === undefined || name === undefined || admin === undefined) {
    print(usage);
    return values.help === true ? 0 : 2;
  }
  const settings = rotationSettings(environment);
  const accounts = catalogue(settings.MYSQL_SCHEMA);
  const account = accountNamed(accounts, name);
  const rotation = new PasswordRotation({
    members: settings.MYSQL_MEMBERS,
    admin: {
      user: accountNamed(accounts, values["admin-account"]).user,
      passwords: () =>
        [admin, values["admin-previous"]].flatMap((path) => (path === undefined ? [] : (readSecret(path) ?? []))),
    },
    ca: readFileSync(settings.MYSQL_TLS_CA, "utf8"),
    limit: settings.ROTATION_LIMIT,
  });
  const generation = (): number => {
    const number = Number(values.generation);
    if (!Number.isSafeInteger(number) || number < 1)
      throw new AgentError("USAGE", "--generation: expected a whole number from 1");
    return number;
  };
  const password = (): string => {
    const secret = readSecret(values.password ?? "");
    if (secret === undefined) throw new AgentError("USAGE", "--password: expected a file that holds a password");
    return secret;
  };
  switch (step) {
    case "state":
      print(JSON.stringify(await rotation.state(account)));
      return 0;
    case "retain":
      await rotation.retain(account, generation(), password());
      return 0;
    case "verify":
      return failing("refuse it", await rotation.verify(account, password()), "refused");
    case "discard":
      await rotation.discard(account, generation());
      return 0;
    case "refused":
      return failing("accept it", await rotation.verify(account, password()), "accepted");
    default:
      print(usage);
      return 2;
  }
}

function failing(what: string, results: ReadonlyMap<string, string>, bad: string): number {
  const members = [...results].filter(([, result]) => result === bad).map(([member]) => member);
  if (members.length > 0) throw new AgentError("SERVER_STATE", `${members.join(", ")} ${what}`);
  return 0;
}
