# The weight-sharing network of a task.


rule train_supertransformer:
    input:
        data=rules.binarise_corpus.output.counts,
    output:
        checkpoint="results/{task}/supertransformer/checkpoint.pt",
        metrics="results/{task}/supertransformer/metrics.jsonl",
        settings="results/{task}/supertransformer/config.json",
    log:
        "results/logs/{task}/supertransformer.log",
    benchmark:
        "results/benchmarks/{task}/supertransformer.tsv"
    # Shared between workflows with `--cache`: docs/how-to/cluster.md.
    cache: CACHED
    threads: all_cores
    resources:
        **TRAINING,
        mem_mb=growing(8000),
        runtime=2880,
    params:
        settings=settings_of("supertransformer"),
    message:
        "{wildcards.task}: train the SuperTransformer"
    shell:
        LAUNCHER + "hat --log {log} supertransformer train {wildcards.task}"
        " --threads {threads} --gpus {resources.gpus}"


# Snakemake forbids benchmarks of cached rules, and a directive cannot be conditional.
if CACHED:
    workflow.get_rule("train_supertransformer")._benchmark = None
