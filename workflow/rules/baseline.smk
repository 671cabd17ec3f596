# A baseline that SubTransformers are compared with. It does not depend on device or budget, so it is trained once.


rule train_baseline:
    input:
        data=rules.binarise_corpus.output.counts,
    output:
        checkpoint="results/{task}/baselines/{baseline}/checkpoint.pt",
        metrics="results/{task}/baselines/{baseline}/metrics.jsonl",
        settings="results/{task}/baselines/{baseline}/config.json",
    log:
        "results/logs/{task}/baselines/{baseline}.log",
    benchmark:
        "results/benchmarks/{task}/baselines/{baseline}.tsv"
    threads: all_cores
    resources:
        **TRAINING,
        mem_mb=growing(8000),
        runtime=2880,
    params:
        settings=settings_of("baseline"),
    message:
        "{wildcards.task}: train the baseline {wildcards.baseline}"
    shell:
        LAUNCHER
        + "hat --log {log} baseline train {wildcards.task} {wildcards.baseline}"
        " --threads {threads} --gpus {resources.gpus}"
