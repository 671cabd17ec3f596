# Figures, tables and the report, from artifacts only.


def drawn(name, ending):
    """Return a file of a figure; PNG files become part of Snakemake's report."""
    path = f"results/figures/{{task}}-{{device}}/{name}.{ending}"
    if ending != "png":
        return path
    return report(
        path,
        caption=f"../report/{name}.rst",
        category="{task}",
        subcategory="{device}",
        labels={"figure": name},
    )


rule draw_figures:
    input:
        errors=rules.fit_predictor.output.errors,
        dataset=rules.collect_dataset.output.dataset,
        budgets=for_each_budget(
            "score.json",
            "latency.json",
            "search.parquet",
            "subtransformer/metrics.jsonl",
        ),
        # Only if it exists; the caption names the target that makes it.
        random=lambda wildcards: [
            path
            for path in artifacts(wildcards.task, wildcards.device, RANDOM_SEARCH)
            if Path(path).exists()
        ],
    output:
        [drawn(name, ending) for name in FIGURES for ending in FIGURE_FILES],
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


# Draws figures from existing artifacts only; for missing ones it names the target that makes them.
rule figures:
    log:
        "results/logs/figures/all.log",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    message:
        "draw all figures and write all tables whose inputs exist"
    shell:
        "export HAT_QUIET=; hat --log {log} figures && hat --log {log} tables"


rule report:
    output:
        page="results/report.html",
    log:
        "results/logs/report.log",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        made=lambda wildcards: artifact_state(RESULTS),
    message:
        "write one page with all results"
    shell:
        "hat --log {log} report"


rule tables:
    input:
        budgets=for_each_budget(
            "score.json",
            "latency.json",
            "architecture.json",
            "subtransformer/config.json",
        ),
    output:
        report(
            "results/tables/{task}-{device}.csv",
            caption="../report/table.rst",
            category="{task}",
            subcategory="{device}",
            labels={"table": "summary"},
        ),
        multiext("results/tables/{task}-{device}", ".md", ".json"),
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
            *(
                f"{variant}/{name}.json"
                for variant in VARIANTS
                for name in ("score", "latency")
            ),
        ),
        data=rules.binarise_corpus.output.counts,
    output:
        report(
            "results/tables/{task}-{device}-compression.csv",
            caption="../report/compression.rst",
            category="{task}",
            subcategory="{device}",
            labels={"table": "compression"},
        ),
        multiext("results/tables/{task}-{device}-compression", ".md", ".json"),
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
