{{- define "signalbox.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name alone where it says "signalbox" already. */}}
{{- define "signalbox.fullname" -}}
{{- $name := include "signalbox.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "signalbox.serviceAccountName" -}}
{{- default (include "signalbox.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "signalbox.keysSecret" -}}
{{- default (printf "%s-keys" (include "signalbox.fullname" .)) .Values.keys.existingSecret -}}
{{- end -}}

{{- define "signalbox.selectorLabels" -}}
app.kubernetes.io/name: {{ include "signalbox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "signalbox.labels" -}}
{{ include "signalbox.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The reference of an image; call with (list <image values> $). */}}
{{- define "signalbox.image" -}}
{{- $image := first . -}}
{{- $tag := default (last .).Chart.AppVersion $image.tag -}}
{{- $image.repository }}{{ ternary (printf "@%s" $image.digest) (printf ":%s" $tag) (ne $image.digest "") -}}
{{- end -}}

{{/* Names under which pods call the runner API, and the API server the webhooks: its certificate is good for them. */}}
{{- define "signalbox.runnerApiNames" -}}
{{- $service := printf "%s-runner-api.%s.svc" (include "signalbox.fullname" .) .Release.Namespace -}}
{{- $service }},{{ $service }}.cluster.local
{{- end -}}

{{- define "signalbox.admissionNames" -}}
{{- include "signalbox.fullname" . }}-admission.{{ .Release.Namespace }}.svc
{{- end -}}

{{/*
The Secret of the authority that the certificate is signed with, where the operator has no right to say in the webhook
configurations whom to trust: it has to be known when these are made. Empty where it is not needed.
*/}}
{{- define "signalbox.authoritySecret" -}}
{{- if and .Values.namespace .Values.admission.enabled .Values.runnerApi.enabled (not .Values.certManager.enabled) -}}
{{- default (printf "%s-authority" (include "signalbox.fullname" .)) .Values.authority.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* Which namespaces admission is about: with a single namespace, that one. */}}
{{- define "signalbox.admittedNamespaces" -}}
{{- with .Values.namespace -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ . }}
{{- end -}}
{{- end -}}

{{/*
Which writes admission is about: those that change more than the API server does by itself. Neither those of the operator,
by the name given, nor those by which Kubernetes deletes.
*/}}
{{- define "signalbox.admittedChanges" -}}
- name: not-the-operator
  expression: request.userInfo.username != {{ . | quote }}
- name: not-a-deletion-by-kubernetes
  expression: >-
    !(request.userInfo.username in ["system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller", "system:kube-controller-manager"])
- name: a-change
  expression: >-
    oldObject == null || object.spec != oldObject.spec
    || object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})
    || object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({})
    || object.metadata.?finalizers.orValue([]) != oldObject.metadata.?finalizers.orValue([])
    || object.metadata.?ownerReferences.orValue([]) != oldObject.metadata.?ownerReferences.orValue([])
{{- end -}}

{{/*
Labels of a role for people, by which it goes into roles of the cluster's own: those take none that are of one namespace.
Call with (list "edit admin" $).
*/}}
{{- define "signalbox.userRoleLabels" -}}
{{- include "signalbox.labels" (last .) }}
{{- if and (last .).Values.rbac.aggregate (not (last .).Values.namespace) }}
{{- range splitList " " (first .) }}
rbac.authorization.k8s.io/aggregate-to-{{ . }}: "true"
{{- end }}
{{- end }}
{{- end -}}
