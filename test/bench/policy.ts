import { createRequire } from "node:module";
import analyzerProto from "@pulumi/pulumi/proto/analyzer_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { policyOf } from "../../policy/src/policy.ts";
import { circumstances, reference, rules } from "../policy/support/reference.ts";

/**
 * Measures what the SDK and the rules take for a plan: `npm run bench:policy [-- RESOURCES]`. Requests are those that an
 * engine sends; the wire is left out.
 */
const count = Number(process.argv[2] ?? 500);
type Handler = (
  call: { readonly request: unknown },
  callback: (error: Error | null | undefined, response?: unknown) => void,
) => void;
const server = createRequire(import.meta.url)("@pulumi/policy/server.js") as Record<
  "makeAnalyzeRpcFun" | "makeAnalyzeStackRpcFun",
  (pack: string, version: string, level: string, policies: readonly object[]) => Handler
>;

const policies = rules.map((rule) => policyOf(rule, { circumstances, secretsProvider: reference.secretsProvider }));
const options = (): InstanceType<typeof analyzerProto.AnalyzerResourceOptions> =>
  new analyzerProto.AnalyzerResourceOptions();
const plain = (value: unknown): struct.JavaScriptValue => JSON.parse(JSON.stringify(value)) as struct.JavaScriptValue;
const golden = reference.resources.filter(({ name }) => !name.startsWith("ref-"));
const resources = Array.from({ length: count }, (_, index) => {
  const resource = golden[index % golden.length];
  if (resource === undefined) throw new Error("the golden plan is empty");
  return { ...resource, urn: `${resource.urn}-${Math.floor(index / golden.length)}` };
});

const ask = (handler: Handler, request: unknown): Promise<void> =>
  new Promise((resolve, reject) => {
    handler({ request }, (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });

const analyze = server.makeAnalyzeRpcFun("tokenshield", "1.0.0", "mandatory", policies);
const analyzeStack = server.makeAnalyzeStackRpcFun("tokenshield", "1.0.0", "mandatory", policies);
const properties = (props: unknown): struct.Struct =>
  struct.Struct.fromJavaScript(plain(props) as Record<string, struct.JavaScriptValue>);
const started = process.cpuUsage();
const clock = performance.now();
for (const { urn, type, name, props } of resources) {
  const request = new analyzerProto.AnalyzeRequest().setUrn(urn).setType(type).setName(name);
  await ask(analyze, request.setProperties(properties(props)).setOptions(options()));
}
const stack = new analyzerProto.AnalyzeStackRequest().setResourcesList(
  resources.map(({ urn, type, name, props, parent, dependencies }) =>
    new analyzerProto.AnalyzerResource()
      .setUrn(urn)
      .setType(type)
      .setName(name)
      .setProperties(properties(props))
      .setOptions(options())
      .setParent(parent)
      .setDependenciesList([...dependencies]),
  ),
);
await ask(analyzeStack, stack);
const used = process.cpuUsage(started);
process.stdout.write(
  `${count} resources, ${rules.length} rules: ${((performance.now() - clock) / 1000).toFixed(2)} s, ` +
    `${((used.user + used.system) / 1e6).toFixed(2)} s of processor time\n`,
);
