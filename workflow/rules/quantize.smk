# Variants of trained networks besides the deployed one: other precisions, and k-means quantisation.


rule export_form:
    input:
        checkpoint=trained("checkpoint.pt"),
        data=rules.binarise_corpus.output.counts,
        shortlist=deployed_shortlist,
    # model.json is written last and stands for the whole folder.
    output:
        model="results/{task}/{device}/{budget}/{variant}/model/model.json",
    log:
        "results/logs/{task}/{device}/{budget}/export-{variant}.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/export-{variant}.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=settings_of("export_form"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: export the variant {wildcards.variant}"
    shell:
        "hat --log {log} export {wildcards.task} {wildcards.device} {wildcards.budget} --form {wildcards.variant}"


rule measure_form:
    input:
        model=rules.export_form.output.model,
        architecture=of_a_budget("results/{task}/{device}/{budget}/architecture.json"),
    output:
        latency="results/{task}/{device}/{budget}/{variant}/latency.json",
    log:
        "results/logs/{task}/{device}/{budget}/measure-{variant}.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/measure-{variant}.tsv"
    threads: measuring_cores
    resources:
        **THE_DEVICE,
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=settings_of("measure"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: measure the variant {wildcards.variant}"
    shell:
        "hat --log {log} latency measure {wildcards.task} {wildcards.device} {wildcards.budget} --form {wildcards.variant}"


rule score_form:
    input:
        model=rules.export_form.output.model,
        data=rules.binarise_corpus.output.counts,
    output:
        bleu="results/{task}/{device}/{budget}/{variant}/bleu.txt",
        score="results/{task}/{device}/{budget}/{variant}/score.json",
        hypotheses="results/{task}/{device}/{budget}/{variant}/hypotheses.txt",
    log:
        "results/logs/{task}/{device}/{budget}/score-{variant}.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/score-{variant}.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("score"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: score the variant {wildcards.variant}"
    shell:
        "hat --log {log} score {wildcards.task} {wildcards.device} {wildcards.budget} --form {wildcards.variant}"
