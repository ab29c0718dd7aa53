{{/* What the agent's settings ask for, as "true" or "". A time named drain-before is no drain. */}}
{{- define "imds-agent.drains" -}}
{{- if and (include "imds-agent.events" .) (regexMatch ":\"drain\"" (toJson (get (.Values.settings | default dict) "policy" | default dict))) -}}true{{- end -}}
{{- end -}}

{{- define "imds-agent.deletes" -}}
{{- if and (include "imds-agent.drains" .) (eq (get (.Values.settings | default dict) "on-deadline" | toString) "delete") -}}true{{- end -}}
{{- end -}}

{{/* Whether a setting is off, in whatever word YAML has for it; call it with settings and name. */}}
{{- define "imds-agent.off" -}}
{{- $value := get (index . 0) (index . 1) | toString | lower -}}
{{- if has $value (list "false" "off" "no" "0") -}}true{{- end -}}
{{- end -}}

{{- define "imds-agent.events" -}}
{{- if not (include "imds-agent.off" (list (.Values.settings | default dict) "events")) -}}true{{- end -}}
{{- end -}}

{{- define "imds-agent.tells" -}}
{{- if not (include "imds-agent.off" (list (.Values.settings | default dict) "kubernetes-events")) -}}true{{- end -}}
{{- end -}}

{{/* Keeps a budget: either one that is on. */}}
{{- define "imds-agent.budgets" -}}
{{- $off := and (include "imds-agent.off" (list (.Values.settings | default dict) "drain-budget")) (include "imds-agent.off" (list (.Values.settings | default dict) "freeze-budget")) -}}
{{- if and (include "imds-agent.events" .) (not $off) -}}true{{- end -}}
{{- end -}}

{{/* Looks at other nodes: for a budget, or before an approval. */}}
{{- define "imds-agent.counts" -}}
{{- $approves := not (has (get (.Values.settings | default dict) "approval" | toString) (list "" "off" "false")) -}}
{{- if and (include "imds-agent.events" .) (or (include "imds-agent.budgets" .) $approves) -}}true{{- end -}}
{{- end -}}

{{- define "imds-agent.zone-if-absent" -}}
{{- if eq (get (.Values.settings | default dict) "well-known-labels" | toString) "if-absent" -}}true{{- end -}}
{{- end -}}

{{/* The domain below which all labels and annotations stand. */}}
{{- define "imds-agent.domain" -}}
{{- get (.Values.settings | default dict) "domain" | default "imds-agent.github.io" -}}
{{- end -}}

{{/* The startup taint, if it is not below our domain: the policy must name it. */}}
{{- define "imds-agent.foreign-startup-taint" -}}
{{- $key := get (.Values.settings | default dict) "startup-taint" | default "" -}}
{{- if not (hasPrefix (printf "%s/" (include "imds-agent.domain" .)) $key) -}}{{ $key }}{{- end -}}
{{- end -}}

{{- define "imds-agent.address" -}}
{{- .Values.metrics.address | default (ternary "0.0.0.0" "127.0.0.1" .Values.metrics.podMonitor.enabled) -}}
{{- end -}}

{{/* The host that kubelet asks: of "all addresses" its own. */}}
{{- define "imds-agent.probe-host" -}}
{{- $address := include "imds-agent.address" . | trimAll "[]" -}}
{{- get (dict "0.0.0.0" "127.0.0.1" "::" "::1") $address | default $address -}}
{{- end -}}

{{- define "imds-agent.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}
