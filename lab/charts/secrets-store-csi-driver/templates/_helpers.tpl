{{- define "driver.selector" -}}
app.kubernetes.io/name: secrets-store-csi-driver
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "driver.labels" -}}
{{ include "driver.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "driver.caCertPath" -}}
{{- if .Values.vault.caCertificates -}}
/etc/secrets-store/vault/ca.crt
{{- else -}}
{{ .Values.vault.caCertPath }}
{{- end -}}
{{- end }}

{{- define "driver.supported" -}}
{{- if .Values.syncSecret.enabled -}}
{{- fail "syncSecret.enabled: this driver puts no copy of a secret into etcd" -}}
{{- end -}}
{{- if .Values.windows.enabled -}}
{{- fail "windows.enabled: this driver runs on Linux only" -}}
{{- end -}}
{{- if not .Values.linux.image.tag -}}
{{- fail "linux.image.tag: expected the tag of the driver's image" -}}
{{- end -}}
{{- end }}
