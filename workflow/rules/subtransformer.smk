# Training the Architecture found for a budget.


rule translate_training:
    input:
        teacher=teacher,
        data=rules.binarise_corpus.output.counts,
    output:
        translated="results/{task}/translated/{teacher}/translated.json",
    log:
        "results/logs/{task}/translated/{teacher}.log",
    benchmark:
        "results/benchmarks/{task}/translated/{teacher}.tsv"
    threads: all_cores
    resources:
        **training_on(1),
        mem_mb=growing(8000),
        runtime=2880,
    params:
        settings=settings_of("translate"),
    message:
        "{wildcards.task}: translate the training set with {wildcards.teacher}"
    shell:
        "hat --log {log} subtransformer translate {wildcards.task}"
        " --threads {threads} --gpus {resources.gpus}"


rule train_subtransformer:
    input:
        architecture=rules.search.output.architecture,
        data=rules.binarise_corpus.output.counts,
        parent=inherited,
        teacher=teacher,
        targets=translated,
    output:
        checkpoint="results/{task}/{device}/{budget}/subtransformer/checkpoint.pt",
        metrics="results/{task}/{device}/{budget}/subtransformer/metrics.jsonl",
        settings="results/{task}/{device}/{budget}/subtransformer/config.json",
    log:
        "results/logs/{task}/{device}/{budget}/subtransformer.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/subtransformer.tsv"
    wildcard_constraints:
        budget=BUDGET_PATTERN,
    threads: all_cores
    resources:
        **TRAINING,
        mem_mb=growing(8000),
        runtime=2880,
    params:
        settings=settings_of("subtransformer"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: train the SubTransformer"
    shell:
        LAUNCHER
        + "hat --log {log} subtransformer train {wildcards.task} {wildcards.device} {wildcards.budget}"
        " --threads {threads} --gpus {resources.gpus}"
