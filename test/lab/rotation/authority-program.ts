import * as pulumi from "@pulumi/pulumi";
import { Provider } from "@pulumi/vault/provider.js";
import { EgressAuthority, type FirstGeneration } from "../../../bin/components/vault/egress-authority.js";

/** A stack with an egress authority and nothing else; what the first generation is, the test says. */
const { VAULT_AT: address = "", ROOT_TOKEN: token = "", FIRST: first = "" } = process.env;
const vault = new Provider("vault", { address, token: pulumi.secret(token), skipChildToken: true });
const authority = new EgressAuthority(
  "acme-egress",
  {
    ...{ environment: "program", tenant: "acme", days: 30, first: first as FirstGeneration },
    guard: { protect: true, onDestroy: "retain" },
  },
  { providers: [vault] },
);

export const bundle = authority.bundle([]);
