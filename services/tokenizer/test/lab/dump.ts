import type { MySqlDatabase } from "../../src/storage/index.ts";

/** Every row of every table as text, binary columns also as hexadecimal digits: to look for what must not be in them. */
export async function dump(database: MySqlDatabase): Promise<string> {
  const names = await database.query(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'tokenshield'",
  );
  const rows = await Promise.all(names.map(({ name }) => database.query(`SELECT * FROM ${String(name)}`)));
  return rows
    .flat()
    .flatMap((row) => Object.values(row))
    .map((value) =>
      Buffer.isBuffer(value) ? `${value.toString("latin1")} ${value.toString("hex")}` : JSON.stringify(value),
    )
    .join("\n");
}
