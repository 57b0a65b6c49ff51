import assert from "node:assert/strict";
import { apply, attemptLab, eventually, image, kubectl } from "./lab.ts";

/** A merchant's application that answers with what it was sent, so that a test sees what reached it. */
const merchant = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "echo", namespace: "merchant", labels: { app: "merchant" } },
  spec: {
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "main",
        image: "",
        command: [
          "/bin/node",
          "-e",
          "require('node:http').createServer((asked, answer) => asked.pipe(answer)).listen(8000)",
        ],
        ports: [{ containerPort: 8000 }],
        readinessProbe: { tcpSocket: { port: 8000 }, periodSeconds: 1 },
        resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "500m", memory: "128Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
      },
    ],
  },
};

/** Puts the echo in the place of the demo's merchant, behind their common Service. */
export async function startEcho(): Promise<void> {
  await kubectl("scale", "deployment/merchant", "-n", "merchant", "--replicas=0");
  const gone = ["get", "pods", "-n", "merchant", "-l", "app=merchant", "-o", "name"];
  assert.equal(
    await eventually(
      () => kubectl(...gone),
      (names) => names === "",
    ),
    "",
  );
  const [main] = merchant.spec.containers;
  if (main !== undefined) main.image = image("tokenizer");
  await apply(merchant);
  await kubectl("wait", "pod/echo", "-n", "merchant", "--for=condition=Ready", "--timeout=60s");
}

/** Gives the demo's merchant its place back. */
export async function stopEcho(): Promise<void> {
  await attemptLab(["kubectl", "delete", "pod/echo", "-n", "merchant", "--ignore-not-found"]);
  await attemptLab(["kubectl", "scale", "deployment/merchant", "-n", "merchant", "--replicas=1"]);
}
