# Figures and tables, from artifacts only.


rule figures:
    input:
        errors=rules.fit_predictor.output.errors,
        budgets=for_each_budget("score.json", "latency.json", "search.parquet"),
    output:
        accuracy=multiext(
            "results/figures/{task}-{device}/predictor", ".pdf", ".png", ".csv"
        ),
        trade_off=multiext(
            "results/figures/{task}-{device}/trade-off", ".pdf", ".png", ".csv"
        ),
        progress=multiext(
            "results/figures/{task}-{device}/search", ".pdf", ".png", ".csv"
        ),
    log:
        "results/logs/figures/{task}-{device}.log",
    benchmark:
        "results/benchmarks/figures/{task}-{device}.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        budgets=lambda wildcards: budgets(wildcards.task, wildcards.device),
    message:
        "{wildcards.task}, {wildcards.device}: draw the figures"
    shell:
        "hat --log {log} figures {wildcards.task} {wildcards.device} {params.budgets}"


rule tables:
    input:
        budgets=for_each_budget(
            "score.json",
            "latency.json",
            "architecture.json",
            "subtransformer/config.json",
        ),
    output:
        multiext("results/tables/{task}-{device}", ".csv", ".md", ".json"),
    log:
        "results/logs/tables/{task}-{device}.log",
    benchmark:
        "results/benchmarks/tables/{task}-{device}.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        budgets=lambda wildcards: budgets(wildcards.task, wildcards.device),
    message:
        "{wildcards.task}, {wildcards.device}: write the summary table"
    shell:
        "hat --log {log} table {wildcards.task} {wildcards.device} {params.budgets} > /dev/null"


rule compression:
    input:
        budgets=for_each_budget(
            "score.json",
            "latency.json",
            *(f"{form}/score.json" for form in FORMS),
        ),
        data=rules.binarise_corpus.output.counts,
    output:
        multiext("results/tables/{task}-{device}-compression", ".csv", ".md", ".json"),
    log:
        "results/logs/tables/{task}-{device}-compression.log",
    benchmark:
        "results/benchmarks/tables/{task}-{device}-compression.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        budgets=lambda wildcards: budgets(wildcards.task, wildcards.device),
    message:
        "{wildcards.task}, {wildcards.device}: write the table of sizes and scores"
    shell:
        "hat --log {log} compression {wildcards.task} {wildcards.device} {params.budgets} > /dev/null"
