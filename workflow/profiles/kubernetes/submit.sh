#!/bin/sh
# Submit a job of Snakemake as a Kubernetes job and print its name.
#   submit.sh THREADS MEGABYTES MINUTES GPUS SCRIPT
# HAT_IMAGE: an image with Python's shared libraries and a shell; everything else is on the volume.
# HAT_CLAIM: the claim of the volume with this folder. HAT_MOUNT: its mount point, the same here and in the pods.
set -eu
: "${HAT_IMAGE:?name the image of the pods}" "${HAT_CLAIM:?name the claim of the volume}"
: "${HAT_MOUNT:?name the folder that the volume is mounted at}"
gpus=
# Kubernetes needs equal GPU limits and requests; the request defaults to the limit.
[ "$4" = 0 ] || gpus="nvidia.com/gpu: $4"
kubectl create -o name -f - <<END | sed 's,.*/,,'
apiVersion: batch/v1
kind: Job
metadata:
  generateName: hat-
  labels: {app: hat}
spec:
  # Snakemake retries itself, with more memory.
  backoffLimit: 0
  activeDeadlineSeconds: $(($3 * 60))
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      volumes:
      - {name: project, persistentVolumeClaim: {claimName: "$HAT_CLAIM"}}
      # Training processes, and processes that prepare batches, share memory.
      - {name: shm, emptyDir: {medium: Memory}}
      containers:
      - name: job
        image: "$HAT_IMAGE"
        workingDir: "$PWD"
        command: [sh, "$(realpath "$5")"]
        volumeMounts:
        - {name: project, mountPath: "$HAT_MOUNT"}
        - {name: shm, mountPath: /dev/shm}
        resources:
          requests: {cpu: "$1", memory: "${2}M"}
          limits:
            memory: "${2}M"
            $gpus
END
