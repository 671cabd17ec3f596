# The networks published with the paper, measured on the device of the default target, and scored:
# results/published/NAME/bleu.txt.


rule published_data:
    output:
        counts="results/published/data/{task}/binary/counts.json",
    log:
        "results/logs/published/data/{task}.log",
    benchmark:
        "results/benchmarks/published/data/{task}.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("fetch"),
    message:
        "{wildcards.task}: unpack the published splits"
    shell:
        "hat --log {log} models data {wildcards.task}"


rule published_network:
    output:
        checkpoint="results/published/{name}/subtransformer/checkpoint.pt",
    log:
        "results/logs/published/{name}/get.log",
    benchmark:
        "results/benchmarks/published/{name}/get.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    message:
        "{wildcards.name}: download and convert the network"
    shell:
        "hat --log {log} models get {wildcards.name}"


rule published_model:
    input:
        checkpoint=rules.published_network.output.checkpoint,
        data=lambda wildcards: rules.published_data.output.counts.format(
            task=catalogue()[wildcards.name].task
        ),
    output:
        model="results/published/{name}/model/model.json",
    log:
        "results/logs/published/{name}/export.log",
    benchmark:
        "results/benchmarks/published/{name}/export.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        device=DEMO.device,
        settings=settings_of_published("export"),
    message:
        "{wildcards.name}: export the deployed model"
    shell:
        "hat --log {log} models export {wildcards.name} {params.device}"


rule published_latency:
    input:
        model=rules.published_model.output.model,
    output:
        latency="results/published/{name}/latency.json",
    log:
        "results/logs/published/{name}/measure.log",
    benchmark:
        "results/benchmarks/published/{name}/measure.tsv"
    threads: all_cores
    resources:
        **{f"device_{DEMO.device}": 1},
        mem_mb=growing(4000),
        runtime=60,
    params:
        device=DEMO.device,
        settings=settings_of_published("measure"),
    message:
        "{wildcards.name}: measure the deployed model on {params.device}"
    shell:
        "hat --log {log} models measure {wildcards.name} {params.device}"


rule published_score:
    input:
        model=rules.published_model.output.model,
        latency=ancient(rules.published_latency.output.latency),
    output:
        bleu="results/published/{name}/bleu.txt",
        score="results/published/{name}/score.json",
    log:
        "results/logs/published/{name}/score.log",
    benchmark:
        "results/benchmarks/published/{name}/score.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        device=DEMO.device,
        settings=settings_of_published("score"),
    message:
        "{wildcards.name}: translate the published test split and score it"
    shell:
        "hat --log {log} models score {wildcards.name} {params.device}"
