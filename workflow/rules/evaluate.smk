# The deployed model, and its score.


rule export_model:
    input:
        checkpoint=trained("checkpoint.pt"),
        architecture=of_a_budget(rules.search.output.architecture),
        data=rules.binarise_corpus.output.counts,
        shortlist=deployed_shortlist,
    # model.json is written last and stands for the whole folder.
    output:
        model="results/{task}/{device}/{budget}/model/model.json",
    log:
        "results/logs/{task}/{device}/{budget}/export.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/export.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=settings_of("export"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: export the deployed model"
    shell:
        "hat --log {log} export {wildcards.task} {wildcards.device} {wildcards.budget}"


rule export_elastic:
    input:
        supertransformer=rules.train_supertransformer.output.checkpoint,
        budgets=for_each_budget("architecture.json", "latency.json"),
        data=rules.binarise_corpus.output.counts,
        shortlist=deployed_shortlist,
    output:
        model="results/{task}/{device}/elastic/model/model.json",
    log:
        "results/logs/{task}/{device}/elastic/export.log",
    benchmark:
        "results/benchmarks/{task}/{device}/elastic/export.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=settings_of("export"),
        budgets=lambda wildcards: budgets(wildcards.task, wildcards.device),
    message:
        "{wildcards.task}, {wildcards.device}: export one folder for all budgets"
    shell:
        "hat --log {log} export-elastic {wildcards.task} {wildcards.device} {params.budgets}"


rule score:
    input:
        model=rules.export_model.output.model,
        checkpoint=trained("checkpoint.pt"),
        supertransformer=of_a_budget(rules.train_supertransformer.output.checkpoint),
        # Requests the latency of a baseline, which no table needs. A new latency does not change translations.
        latency=of_a_baseline(rules.measure_model.output.latency),
        data=rules.binarise_corpus.output.counts,
    output:
        bleu="results/{task}/{device}/{budget}/bleu.txt",
        score="results/{task}/{device}/{budget}/score.json",
        hypotheses="results/{task}/{device}/{budget}/hypotheses.txt",
    log:
        "results/logs/{task}/{device}/{budget}/score.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/score.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("score"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: translate the test split and score it"
    shell:
        "hat --log {log} score {wildcards.task} {wildcards.device} {wildcards.budget}"
