import * as pulumi from "@pulumi/pulumi";
import { refuse } from "../checks";
import {
  applicationLogin,
  applicationSchema,
  type Database,
  type DatabaseAddress,
  type DatabaseLogin,
} from "./database";

/** Arguments of `ExternalDatabase`. */
export interface ExternalDatabaseArgs {
  /** Name of the server, which its certificate carries. */
  readonly host: string;
  /** Port of the server. */
  readonly port: number;
  /** Authorities that sign its certificate, PEM. */
  readonly caBundle: string;
}

/**
 * A MySQL server of the operator's own. It makes nothing: whoever runs the server makes the schema and the application's
 * account, with the login that lies in Vault.
 */
export class ExternalDatabase extends pulumi.ComponentResource implements Database {
  readonly address: pulumi.Output<DatabaseAddress>;
  readonly readAddress: pulumi.Output<DatabaseAddress>;
  readonly caBundle: pulumi.Output<string>;
  readonly schema: string = applicationSchema;
  readonly login: DatabaseLogin = applicationLogin;

  constructor(name: string, { host, port, caBundle }: ExternalDatabaseArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:database:ExternalDatabase", name, {}, opts);
    refuse(`ExternalDatabase ${name}`, [
      ...(host === "" ? [{ propertyPath: "host", reason: "expected the server's name, given an empty text" }] : []),
      ...(/-----BEGIN CERTIFICATE-----/.test(caBundle)
        ? []
        : [{ propertyPath: "caBundle", reason: "expected certificates in PEM, given none" }]),
    ]);
    this.address = pulumi.output({ host, port });
    this.readAddress = this.address;
    this.caBundle = pulumi.output(caBundle);
    this.registerOutputs({ address: this.address });
  }
}
