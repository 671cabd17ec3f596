# The cost of searches, from the machine use that stages recorded.


rule cost:
    input:
        artifacts=lambda wildcards: artifacts(
            DEMO.task, DEMO.device, "search.parquet", "score.json"
        ),
    output:
        multiext("results/tables/cost", ".csv", ".md", ".json"),
    log:
        "results/logs/tables/cost.log",
    benchmark:
        "results/benchmarks/tables/cost.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        settings=digest(SETTINGS.configuration.cost.model_dump(mode="json")),
    message:
        "write the table of the cost of searches"
    shell:
        "hat --log {log} cost > /dev/null"
