#!/usr/bin/env bash
# Writes the alert rules as the Prometheus operator takes them. A test says when they differ.
set -euo pipefail
cd "$(dirname "$0")/../.."
{
  cat <<'HEAD'
# Made from monitoring/alert-rules.yml by ops/kubernetes/rules.sh; change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: orchestrator
spec:
HEAD
  sed -n '/^groups:/,$p' monitoring/alert-rules.yml | sed 's/^\(.\)/  \1/'
} >ops/kubernetes/base/prometheusrule.yaml
