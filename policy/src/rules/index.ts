import type { Exemption } from "../model/exemption.ts";
import type { Rule } from "../model/rule.ts";
import { accountsAreNotShared } from "./access/accounts-are-not-shared.ts";
import { accountsMountNoToken } from "./access/accounts-mount-no-token.ts";
import { bindingsNameTheirSubjects } from "./access/bindings-name-their-subjects.ts";
import { rolesCannotEscalate } from "./access/roles-cannot-escalate.ts";
import { rolesNameTheirRights } from "./access/roles-name-their-rights.ts";
import { rolesNameTheirSecrets } from "./access/roles-name-their-secrets.ts";
import { tokensAreShortLived } from "./access/tokens-are-short-lived.ts";
import { bucketsAreEncrypted } from "./cloud/buckets-are-encrypted.ts";
import { bucketsArePrivate } from "./cloud/buckets-are-private.ts";
import { bucketsAreWriteOnce } from "./cloud/buckets-are-write-once.ts";
import { bucketsRequireTls } from "./cloud/buckets-require-tls.ts";
import { cloudDatabasesArePrivate } from "./cloud/cloud-databases-are-private.ts";
import { cloudFirewallsAreNarrow } from "./cloud/cloud-firewalls-are-narrow.ts";
import { cloudKeysRotate } from "./cloud/cloud-keys-rotate.ts";
import { cloudRightsAreNarrow } from "./cloud/cloud-rights-are-narrow.ts";
import { cloudRolesAreBound } from "./cloud/cloud-roles-are-bound.ts";
import { cloudSecretsHoldNoValues } from "./cloud/cloud-secrets-hold-no-values.ts";
import { logsAreKept } from "./cloud/logs-are-kept.ts";
import { volumesAreEncrypted } from "./cloud/volumes-are-encrypted.ts";
import { cardDataIsNotLogged } from "./crypto/card-data-is-not-logged.ts";
import { cardTrafficIsEncrypted } from "./crypto/card-traffic-is-encrypted.ts";
import { certificatesAreInventoried } from "./crypto/certificates-are-inventoried.ts";
import { configsHoldNoSecrets } from "./crypto/configs-hold-no-secrets.ts";
import { configsUseModernTls } from "./crypto/configs-use-modern-tls.ts";
import { databasesRequireTls } from "./crypto/databases-require-tls.ts";
import { generatedValuesAreStrong } from "./crypto/generated-values-are-strong.ts";
import { generatedValuesStayHidden } from "./crypto/generated-values-stay-hidden.ts";
import { proxiesAreMinimal } from "./crypto/proxies-are-minimal.ts";
import { scrapesVerifyTls } from "./crypto/scrapes-verify-tls.ts";
import { secretsAreNotInTheCluster } from "./crypto/secrets-are-not-in-the-cluster.ts";
import { dnsPassesByBothProtocols } from "./network/dns-passes-by-both-protocols.ts";
import { flowsAreAgreedOn } from "./network/flows-are-agreed-on.ts";
import { ingressesUseTls } from "./network/ingresses-use-tls.ts";
import { namespacesAdmitRestrictedPods } from "./network/namespaces-admit-restricted-pods.ts";
import { namespacesDenyByDefault } from "./network/namespaces-deny-by-default.ts";
import { networkPoliciesNamePeers } from "./network/network-policies-name-peers.ts";
import { networkPoliciesNamePorts } from "./network/network-policies-name-ports.ts";
import { publicFrontendsAreFiltered } from "./network/public-frontends-are-filtered.ts";
import { servicesStayInside } from "./network/services-stay-inside.ts";
import { storesAreNotPublished } from "./network/stores-are-not-published.ts";
import { alertsHaveRunbooks } from "./platform/alerts-have-runbooks.ts";
import { autoscalersKeepReplicas } from "./platform/autoscalers-keep-replicas.ts";
import { chartsArePinned } from "./platform/charts-are-pinned.ts";
import { controlsRaiseAlerts } from "./platform/controls-raise-alerts.ts";
import { dataIsProtected } from "./platform/data-is-protected.ts";
import { databasesAreAudited } from "./platform/databases-are-audited.ts";
import { environmentsAreKeptApart } from "./platform/environments-are-kept-apart.ts";
import { keyHierarchyIsKeptApart } from "./platform/key-hierarchy-is-kept-apart.ts";
import { outputsHoldNoSecrets } from "./platform/outputs-hold-no-secrets.ts";
import { productionRunsNoTests } from "./platform/production-runs-no-tests.ts";
import { replicasAreSpread } from "./platform/replicas-are-spread.ts";
import { rotationsAreCarriedOut } from "./platform/rotations-are-carried-out.ts";
import { secretsAreFedByGeneratedValues } from "./platform/secrets-are-fed-by-generated-values.ts";
import { secretsHaveARotationClass } from "./platform/secrets-have-a-rotation-class.ts";
import { stateIsKeptByAKeyService } from "./platform/state-is-kept-by-a-key-service.ts";
import { tenantsAreKeptApart } from "./platform/tenants-are-kept-apart.ts";
import { workloadsSurviveADrain } from "./platform/workloads-survive-a-drain.ts";
import { cardNumbersLeaveToNamedGateways } from "./pods/card-numbers-leave-to-named-gateways.ts";
import { cardsAreEncrypted } from "./pods/cards-are-encrypted.ts";
import { commandsHoldNoSecrets } from "./pods/commands-hold-no-secrets.ts";
import { containersAreUnprivileged } from "./pods/containers-are-unprivileged.ts";
import { containersCannotEscalate } from "./pods/containers-cannot-escalate.ts";
import { containersDropCapabilities } from "./pods/containers-drop-capabilities.ts";
import { containersHaveLimits } from "./pods/containers-have-limits.ts";
import { podsHaveAReadinessProbe } from "./pods/pods-have-a-readiness-probe.ts";
import { debuggingIsOff } from "./pods/debugging-is-off.ts";
import { imagesAreNamedByDigest } from "./pods/images-are-named-by-digest.ts";
import { imagesArePinned } from "./pods/images-are-pinned.ts";
import { imagesComeFromTheMirror } from "./pods/images-come-from-the-mirror.ts";
import { loginsAreLocked } from "./pods/logins-are-locked.ts";
import { podsMountNoHostPaths } from "./pods/pods-mount-no-host-paths.ts";
import { podsMountNoToken } from "./pods/pods-mount-no-token.ts";
import { podsRunAsNonRoot } from "./pods/pods-run-as-non-root.ts";
import { podsUseAnAccountOfTheirOwn } from "./pods/pods-use-an-account-of-their-own.ts";
import { podsUseNoHostNamespaces } from "./pods/pods-use-no-host-namespaces.ts";
import { podsUseSeccomp } from "./pods/pods-use-seccomp.ts";
import { rootFilesystemsAreReadOnly } from "./pods/root-filesystems-are-read-only.ts";
import { secretsAreNotInTheEnvironment } from "./pods/secrets-are-not-in-the-environment.ts";
import { secretsComeFromTheStore } from "./pods/secrets-come-from-the-store.ts";
import { servicesSpeakTls } from "./pods/services-speak-tls.ts";
import { sessionsTimeOut } from "./pods/sessions-time-out.ts";
import { authoritiesAreConstrained } from "./vault/authorities-are-constrained.ts";
import { certificateRolesAreNarrow } from "./vault/certificate-roles-are-narrow.ts";
import { keyRightsAreKeptApart } from "./vault/key-rights-are-kept-apart.ts";
import { mountsCarryTheEnvironment } from "./vault/mounts-carry-the-environment.ts";
import { providersVerifyTls } from "./vault/providers-verify-tls.ts";
import { secretsAreWriteOnly } from "./vault/secrets-are-write-only.ts";
import { transitKeysStayInside } from "./vault/transit-keys-stay-inside.ts";
import { vaultAuditHidesValues } from "./vault/vault-audit-hides-values.ts";
import { vaultIsAudited } from "./vault/vault-is-audited.ts";
import { vaultPoliciesAreNarrow } from "./vault/vault-policies-are-narrow.ts";
import { vaultRolesAreBound } from "./vault/vault-roles-are-bound.ts";
import { exemptionsAreCurrent } from "./platform/exemptions-are-current.ts";

/** Every rule of the pack but the one about exemptions, which needs them. */
export const rules: readonly Rule[] = [
  accountsAreNotShared,
  accountsMountNoToken,
  bindingsNameTheirSubjects,
  rolesCannotEscalate,
  rolesNameTheirRights,
  rolesNameTheirSecrets,
  tokensAreShortLived,
  bucketsAreEncrypted,
  bucketsArePrivate,
  bucketsAreWriteOnce,
  bucketsRequireTls,
  cloudDatabasesArePrivate,
  cloudFirewallsAreNarrow,
  cloudKeysRotate,
  cloudRightsAreNarrow,
  cloudRolesAreBound,
  cloudSecretsHoldNoValues,
  logsAreKept,
  volumesAreEncrypted,
  cardDataIsNotLogged,
  cardTrafficIsEncrypted,
  certificatesAreInventoried,
  configsHoldNoSecrets,
  configsUseModernTls,
  databasesRequireTls,
  generatedValuesAreStrong,
  generatedValuesStayHidden,
  proxiesAreMinimal,
  scrapesVerifyTls,
  secretsAreNotInTheCluster,
  dnsPassesByBothProtocols,
  flowsAreAgreedOn,
  ingressesUseTls,
  namespacesAdmitRestrictedPods,
  namespacesDenyByDefault,
  networkPoliciesNamePeers,
  networkPoliciesNamePorts,
  publicFrontendsAreFiltered,
  servicesStayInside,
  storesAreNotPublished,
  alertsHaveRunbooks,
  autoscalersKeepReplicas,
  chartsArePinned,
  controlsRaiseAlerts,
  dataIsProtected,
  databasesAreAudited,
  environmentsAreKeptApart,
  keyHierarchyIsKeptApart,
  outputsHoldNoSecrets,
  productionRunsNoTests,
  replicasAreSpread,
  rotationsAreCarriedOut,
  secretsAreFedByGeneratedValues,
  secretsHaveARotationClass,
  stateIsKeptByAKeyService,
  tenantsAreKeptApart,
  workloadsSurviveADrain,
  cardNumbersLeaveToNamedGateways,
  cardsAreEncrypted,
  commandsHoldNoSecrets,
  containersAreUnprivileged,
  containersCannotEscalate,
  containersDropCapabilities,
  containersHaveLimits,
  podsHaveAReadinessProbe,
  debuggingIsOff,
  imagesAreNamedByDigest,
  imagesArePinned,
  imagesComeFromTheMirror,
  loginsAreLocked,
  podsMountNoHostPaths,
  podsMountNoToken,
  podsRunAsNonRoot,
  podsUseAnAccountOfTheirOwn,
  podsUseNoHostNamespaces,
  podsUseSeccomp,
  rootFilesystemsAreReadOnly,
  secretsAreNotInTheEnvironment,
  secretsComeFromTheStore,
  servicesSpeakTls,
  sessionsTimeOut,
  authoritiesAreConstrained,
  certificateRolesAreNarrow,
  keyRightsAreKeptApart,
  mountsCarryTheEnvironment,
  providersVerifyTls,
  secretsAreWriteOnly,
  transitKeysStayInside,
  vaultAuditHidesValues,
  vaultIsAudited,
  vaultPoliciesAreNarrow,
  vaultRolesAreBound,
];

/** Every rule of the pack. */
export function allRules(exemptions: readonly Exemption[], today: string): readonly Rule[] {
  return [...rules, exemptionsAreCurrent(exemptions, today)];
}
