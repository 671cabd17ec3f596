# Text, if the environment variable SNAKEMAKE_OUTPUT_CACHE names a folder that workflows share. All data of a task is
# one archive there, found by the digest of its settings, and is unpacked here.


rule pack_data:
    input:
        lambda wildcards: own_files(SETTINGS.task(wildcards.task)),
    output:
        archive="results/{task}/data.tar",
    log:
        "results/logs/{task}/data/pack.log",
    cache: True
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=1440,
    params:
        # The archive is found by this, and by the content of text files on this machine.
        settings=lambda wildcards: [
            settings_of(stage)(wildcards)
            for stage in ("fetch", "extract", "tokenise", "binarise")
        ],
    message:
        "{wildcards.task}: prepare the data for all workflows that share the cache"
    shell:
        "for step in fetch extract tokenise binarise; do hat --log {log} data $step {wildcards.task}; done;"
        " tar -C results/{wildcards.task} --exclude=partial -cf {output.archive} data"


rule binarise_corpus:
    input:
        archive=rules.pack_data.output.archive,
    output:
        counts="results/{task}/data/binary/counts.json",
    log:
        "results/logs/{task}/data/unpack.log",
    benchmark:
        "results/benchmarks/{task}/data/unpack.tsv"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=60,
    message:
        "{wildcards.task}: unpack the data"
    # Files get the time of unpacking (-m), so that they are newer than the archive.
    shell:
        "tar -C results/{wildcards.task} -xmf {input.archive} > {log} 2>&1"
