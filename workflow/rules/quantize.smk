# Trained networks quantised by k-means to 4 or 8 bits, scored as what is deployed is.


rule quantise:
    input:
        checkpoint=trained("checkpoint.pt"),
        data=rules.binarise_corpus.output.counts,
    # model.json is written last and stands for the whole folder.
    output:
        model="results/{task}/{device}/{budget}/quantized-{bits}bit/model/model.json",
    log:
        "results/logs/{task}/{device}/{budget}/quantise-{bits}bit.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/quantise-{bits}bit.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=settings_of("quantise"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: quantise to {wildcards.bits} bits"
    shell:
        "hat --log {log} quantise {wildcards.task} {wildcards.device} {wildcards.budget} --bits {wildcards.bits}"


rule score_quantised:
    input:
        model=rules.quantise.output.model,
        data=rules.binarise_corpus.output.counts,
    output:
        bleu="results/{task}/{device}/{budget}/quantized-{bits}bit/bleu.txt",
        score="results/{task}/{device}/{budget}/quantized-{bits}bit/score.json",
        hypotheses="results/{task}/{device}/{budget}/quantized-{bits}bit/hypotheses.txt",
    log:
        "results/logs/{task}/{device}/{budget}/score-{bits}bit.log",
    benchmark:
        "results/benchmarks/{task}/{device}/{budget}/score-{bits}bit.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("score"),
    message:
        "{wildcards.task}, {wildcards.device}, {wildcards.budget}: score it in {wildcards.bits} bits"
    shell:
        "hat --log {log} score {wildcards.task} {wildcards.device} {wildcards.budget} --bits {wildcards.bits}"
