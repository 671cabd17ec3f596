#!/bin/sh
# Print the state of a SLURM job for Snakemake's cluster-generic: running, success or failed.
# A job that the controller has forgotten (MinJobAge) is looked up in the accounting, if that is enabled.
state=$(scontrol show job --oneliner "$1" 2>/dev/null | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p')
[ -n "$state" ] || state=$(sacct --noheader --allocations --format=State --jobs="$1" 2>/dev/null | awk '{print $1; exit}')
case "$state" in
    COMPLETED) echo success ;;
    PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED | RESIZING | STAGE_OUT) echo running ;;
    *) echo failed ;;
esac
