# The best Architecture under a budget.


rule search:
    input:
        predictor=rules.fit_predictor.output.predictor,
        supertransformer=rules.train_supertransformer.output.checkpoint,
        data=rules.binarise_corpus.output.counts,
    output:
        architecture="results/{task}/{device}/{budget}/architecture.json",
        candidates="results/{task}/{device}/{budget}/search.parquet",
    log:
        "results/logs/{task}/{device}/{budget}/search.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/search.tsv"
    wildcard_constraints:
        budget=BUDGET_PATTERN,
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("search"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: search the best Architecture"
    shell:
        "hat --log {log} search {wildcards.task} {wildcards.device} {wildcards.budget}"
