# Text: download, extract, tokenise, binarise.
#
# Files whose names end with a language cannot be declared, since outputs contain only the rule's wildcards.
# The file that a verb writes last stands for all of them.


rule fetch_sources:
    output:
        touch("results/{task}/data/.fetched"),
    log:
        "results/logs/{task}/data/fetch.log",
    benchmark:
        "results/benchmarks/{task}/data/fetch.tsv"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=240,
    params:
        settings=settings_of("fetch"),
    message:
        "{wildcards.task}: download the text"
    shell:
        "hat --log {log} data fetch {wildcards.task}"


rule extract_corpus:
    input:
        lambda wildcards: own_files(SETTINGS.task(wildcards.task)),
        fetched=rules.fetch_sources.output,
    output:
        counts="results/{task}/data/counts.json",
    log:
        "results/logs/{task}/data/extract.log",
    benchmark:
        "results/benchmarks/{task}/data/extract.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        settings=settings_of("extract"),
    message:
        "{wildcards.task}: extract the text of each split, measure the overlap"
    shell:
        "hat --log {log} data extract {wildcards.task}"


rule tokenise_corpus:
    input:
        raw=rules.extract_corpus.output.counts,
    output:
        codes="results/{task}/data/codes",
    log:
        "results/logs/{task}/data/tokenise.log",
    benchmark:
        "results/benchmarks/{task}/data/tokenise.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=settings_of("tokenise"),
    message:
        "{wildcards.task}: tokenise, learn byte-pair codes, apply them"
    shell:
        "hat --log {log} data tokenise {wildcards.task}"


rule binarise_corpus:
    input:
        codes=rules.tokenise_corpus.output.codes,
    output:
        counts="results/{task}/data/binary/counts.json",
    log:
        "results/logs/{task}/data/binarise.log",
    benchmark:
        "results/benchmarks/{task}/data/binarise.tsv"
    threads: all_cores
    resources:
        mem_mb=growing(4000),
        runtime=240,
    params:
        settings=settings_of("binarise"),
    message:
        "{wildcards.task}: build the dictionary, binarise the splits"
    shell:
        "hat --log {log} data binarise {wildcards.task}"
