#!/bin/sh
# Print the state of a Kubernetes job for Snakemake's cluster-generic: running, success or failed.
if state=$(kubectl get job "$1" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}' 2>&1); then
    case "$state" in
        *Complete*) echo success ;;
        *Failed*) echo failed ;;
        *) echo running ;;
    esac
else
    # The job was deleted. Other errors of kubectl say nothing about the job.
    case "$state" in
        *NotFound*) echo failed ;;
        *) echo running ;;
    esac
fi
