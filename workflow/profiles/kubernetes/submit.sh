#!/bin/sh
# Make a Kubernetes job of a job of Snakemake's and print its name.
#   submit.sh THREADS MEGABYTES MINUTES GPUS SCRIPT
# HAT_IMAGE: an image with Python's shared libraries and a shell; all else is on the volume.
# HAT_CLAIM: the claim of the volume that this folder lies on. HAT_MOUNT: where it is mounted, here and in the pods.
set -eu
: "${HAT_IMAGE:?name the image of the pods}" "${HAT_CLAIM:?name the claim of the volume}"
: "${HAT_MOUNT:?name the folder that the volume is mounted at}"
gpus=
# Kubernetes wants the same number as limit and as request, which is the limit where it is not said.
[ "$4" = 0 ] || gpus="nvidia.com/gpu: $4"
kubectl create -o name -f - <<END | sed 's,.*/,,'
apiVersion: batch/v1
kind: Job
metadata:
  generateName: hat-
  labels: {app: hat}
spec:
  # Snakemake tries again by itself, with more memory.
  backoffLimit: 0
  activeDeadlineSeconds: $(($3 * 60))
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      volumes:
      - {name: project, persistentVolumeClaim: {claimName: "$HAT_CLAIM"}}
      # Processes that train together, and those that prepare batches, share memory.
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
