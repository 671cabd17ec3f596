# Measuring a device, predicting its latencies, choosing budgets.


rule choose_architectures:
    output:
        architectures="results/{task}/{device}/latency/architectures.jsonl",
    log:
        "results/logs/{task}/{device}/choose.log",
    benchmark:
        "results/benchmarks/{task}/{device}/choose.tsv"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=10,
    params:
        settings=settings_of("choose"),
    message:
        "{wildcards.task}, {wildcards.device}: draw the Architectures to measure"
    shell:
        "hat --log {log} latency choose {wildcards.task} {wildcards.device}"


rule sample_latency:
    input:
        architectures=rules.choose_architectures.output.architectures,
        data=rules.binarise_corpus.output.counts,
        shortlist=deployed_shortlist,
    output:
        samples="results/{task}/{device}/latency/samples/{shard}.jsonl",
    log:
        "results/logs/{task}/{device}/sample-{shard}.log",
    benchmark:
        "results/benchmarks/{task}/{device}/sample-{shard}.tsv"
    threads: measuring_cores
    resources:
        **THE_DEVICE,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=settings_of("sample"),
    message:
        "{wildcards.task}, {wildcards.device}: measure latencies, shard {wildcards.shard}"
    shell:
        "hat --log {log} latency sample {wildcards.task} {wildcards.device} --shard {wildcards.shard}"


rule collect_dataset:
    input:
        samples=measurements,
        data=rules.binarise_corpus.output.counts,
        shortlist=deployed_shortlist,
    output:
        dataset="results/{task}/{device}/latency/dataset.parquet",
    log:
        "results/logs/{task}/{device}/collect.log",
    benchmark:
        "results/benchmarks/{task}/{device}/collect.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        settings=settings_of("collect"),
    message:
        "{wildcards.task}, {wildcards.device}: collect the measurements"
    shell:
        "hat --log {log} latency collect {wildcards.task} {wildcards.device}"


rule fit_predictor:
    input:
        dataset=rules.collect_dataset.output.dataset,
        architectures=chosen_architectures,
    output:
        predictor="results/{task}/{device}/predictor/predictor.json",
        errors="results/{task}/{device}/predictor/errors.json",
    log:
        "results/logs/{task}/{device}/fit.log",
    benchmark:
        "results/benchmarks/{task}/{device}/fit.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        settings=settings_of("fit"),
    message:
        "{wildcards.task}, {wildcards.device}: fit the latency predictor"
    shell:
        "hat --log {log} latency fit {wildcards.task} {wildcards.device}"


rule predictor_figure:
    input:
        errors=rules.fit_predictor.output.errors,
    output:
        multiext("results/{task}/{device}/predictor/accuracy", ".pdf", ".png", ".csv"),
    log:
        "results/logs/{task}/{device}/predictor-figure.log",
    benchmark:
        "results/benchmarks/{task}/{device}/predictor-figure.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    message:
        "{wildcards.task}, {wildcards.device}: draw the predictor's errors"
    shell:
        "hat --log {log} latency figure {wildcards.task} {wildcards.device}"


checkpoint choose_budgets:
    input:
        predictor=rules.fit_predictor.output.predictor,
    output:
        budgets="results/{task}/{device}/budgets.json",
    log:
        "results/logs/{task}/{device}/budgets.log",
    benchmark:
        "results/benchmarks/{task}/{device}/budgets.tsv"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        settings=settings_of("budgets"),
    message:
        "{wildcards.task}, {wildcards.device}: choose budgets from the predicted range"
    shell:
        "hat --log {log} budgets {wildcards.task} {wildcards.device}"


rule measure_model:
    input:
        model="results/{task}/{device}/{budget}/model/model.json",
        architecture=of_a_budget("results/{task}/{device}/{budget}/architecture.json"),
    output:
        latency="results/{task}/{device}/{budget}/latency.json",
    log:
        "results/logs/{task}/{device}/{budget}/measure.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/measure.tsv"
    threads: measuring_cores
    resources:
        **THE_DEVICE,
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=settings_of("measure"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: measure the deployed model"
    shell:
        "hat --log {log} latency measure {wildcards.task} {wildcards.device} {wildcards.budget}"
