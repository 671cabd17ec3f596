#!/bin/sh
# What became of a SLURM job: running, success or failed, as Snakemake's cluster-generic asks.
# A job that the controller has forgotten (MinJobAge) is looked up in the accounting, where there is one.
state=$(scontrol show job --oneliner "$1" 2>/dev/null | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p')
[ -n "$state" ] || state=$(sacct --noheader --allocations --format=State --jobs="$1" 2>/dev/null | awk '{print $1; exit}')
case "$state" in
    COMPLETED) echo success ;;
    PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED | RESIZING | STAGE_OUT) echo running ;;
    *) echo failed ;;
esac
