#!/bin/sh
# What became of a Kubernetes job: running, success or failed, as Snakemake's cluster-generic asks.
if state=$(kubectl get job "$1" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}' 2>&1); then
    case "$state" in
        *Complete*) echo success ;;
        *Failed*) echo failed ;;
        *) echo running ;;
    esac
else
    # Deleted by somebody; whatever else goes wrong with asking says nothing of the job.
    case "$state" in
        *NotFound*) echo failed ;;
        *) echo running ;;
    esac
fi
