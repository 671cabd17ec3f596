#!/bin/bash
# A SLURM cluster of this machine alone, in a folder, for as long as a command runs. As root; Debian's slurm-wlm and
# munge; without systemd, control groups and accounting.
#
#   tests/workflow/slurm.sh FOLDER NODES COMMAND...
#
# With more than one node each has a slurmd of its own, and believes that it has the machine for itself.
# The cluster's configuration has to lie in /etc/slurm, since Snakemake's executor removes SLURM's variables from the
# environment of jobs; a mount namespace of its own keeps that from the rest of the system.
set -euo pipefail
if [ "${IN_NAMESPACE:-}" != yes ]; then
    IN_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"
fi
folder=$(realpath -m "$1") nodes=$2
shift 2
mkdir -p "$folder"/{etc,state,spool,log,munge}
chown munge "$folder/munge"
memory=$(awk '/MemTotal/ {print int($2 / 1024) - 500}' /proc/meminfo)
# `nproc` alone would heed OMP_NUM_THREADS.
cores=$(nproc --all)
# Two ports that nobody listens on; the nodes follow the second.
port=$((20000 + RANDOM % 10000))
cat >"$folder/etc/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=600
KillWait=5
MessageTimeout=60
END
for number in $(seq "$nodes"); do
    echo "NodeName=node$number NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + number))" \
        "CPUs=$cores RealMemory=$memory State=UNKNOWN" >>"$folder/etc/slurm.conf"
done
echo "PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$folder/etc/slurm.conf"
mount --bind "$folder/etc" /etc/slurm
unset "${!SLURM_@}"

stop() {
    scontrol shutdown 2>/dev/null || true
    for _ in $(seq 100); do
        compgen -G "$folder/*.pid" >/dev/null || break
        sleep 0.2
    done
    [ ! -e "$folder/munge/pid" ] || kill "$(cat "$folder/munge/pid")"
}
trap stop EXIT
[ -e /etc/munge/munge.key ] || mungekey
runuser -u munge -- munged --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --key-file=/etc/munge/munge.key
slurmctld -c
for number in $(seq "$nodes"); do
    mkdir -p "$folder/spool/node$number"
    slurmd -c -N "node$number"
done
for _ in $(seq 150); do
    if [ "$(sinfo -h -N -o %T 2>/dev/null | grep -cx idle)" = "$nodes" ]; then
        "$@"
        exit
    fi
    sleep 0.2
done
echo "SLURM did not start" >&2
tail -n 20 "$folder"/log/*.log >&2
exit 1
