{{- define "operator.selector" -}}
app.kubernetes.io/name: prometheus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/component: controller
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "operator.images" -}}
{{- if not .Values.image.tag -}}
{{- fail "image.tag: expected the tag of the operator's image" -}}
{{- end -}}
{{- if not .Values.configReloader.image.tag -}}
{{- fail "configReloader.image.tag: expected the tag of the config reloader's image" -}}
{{- end -}}
{{- end }}
